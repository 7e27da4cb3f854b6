//! Between the catalog's rows and its aggregates.

use catalog::{ActivationWindow, Category, CategoryConfiguration, Plan, Price};
use kernel::Money;
use ports::{PortError, Result};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, IntoActiveModel as _};
use serde_json::Value;

use super::entities::{category, plan, price};

/// A stored word that its type no longer knows.
fn unknown(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> PortError {
    PortError::internal(format!("the catalog holds an unknown {what}"), error)
}

fn years(value: i32) -> Result<u16> {
    u16::try_from(value).map_err(|error| unknown("age", error))
}

pub fn to_category(row: category::Model) -> Result<Category> {
    Ok(Category {
        id: row.id.into(),
        slug: row.slug,
        name: row.name,
        description: row.description,
        active: row.active,
        configuration: CategoryConfiguration {
            required_modality: row
                .required_modality
                .parse()
                .map_err(|error| unknown("modality", error))?,
            minimum_age: years(row.minimum_age)?,
            maximum_age: row.maximum_age.map(years).transpose()?,
        },
        version: row.version,
    })
}

pub fn from_category(category: &Category) -> category::ActiveModel {
    category::Model {
        id: category.id.uuid(),
        slug: category.slug.clone(),
        name: category.name.clone(),
        description: category.description.clone(),
        active: category.active,
        required_modality: category.configuration.required_modality.to_string(),
        minimum_age: category.configuration.minimum_age.into(),
        maximum_age: category.configuration.maximum_age.map(Into::into),
        version: category.version,
    }
    .into_active_model()
    .reset_all()
}

pub fn to_plan(row: plan::Model, prices: Vec<price::Model>) -> Result<Plan> {
    Ok(Plan {
        id: row.id.into(),
        category: row.category_id.into(),
        name: row.name,
        description: row.description,
        tier: row.tier.parse().map_err(|error| unknown("tier", error))?,
        features: list(row.features)?,
        treatments: list(row.treatments)?,
        comparison: list(row.comparison)?,
        window: ActivationWindow { from: row.active_from, until: row.active_until },
        active: row.active,
        prices: prices.into_iter().map(to_price).collect::<Result<_>>()?,
        version: row.version,
    })
}

fn list<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| unknown("list", error))
}

pub fn from_plan(plan: &Plan) -> plan::ActiveModel {
    plan::Model {
        id: plan.id.uuid(),
        category_id: plan.category.uuid(),
        name: plan.name.clone(),
        description: plan.description.clone(),
        tier: plan.tier.to_string(),
        features: serde_json::json!(plan.features),
        treatments: serde_json::json!(plan.treatments),
        comparison: serde_json::json!(plan.comparison),
        active_from: plan.window.from,
        active_until: plan.window.until,
        active: plan.active,
        version: plan.version,
    }
    .into_active_model()
    .reset_all()
}

fn to_price(row: price::Model) -> Result<Price> {
    Ok(Price {
        id: row.id.into(),
        interval: row
            .billing_interval
            .parse()
            .map_err(|error| unknown("billing interval", error))?,
        amount: Money::new(
            row.amount_minor,
            row.currency.parse().map_err(|error| unknown("currency", error))?,
        ),
        active: row.active,
    })
}

pub fn from_price(plan: &Plan, position: i32, price: &Price) -> price::ActiveModel {
    price::ActiveModel {
        id: Set(price.id.uuid()),
        plan_id: Set(plan.id.uuid()),
        position: Set(position),
        billing_interval: Set(price.interval.to_string()),
        amount_minor: Set(price.amount.minor),
        currency: Set(price.amount.currency.code().to_owned()),
        active: Set(price.active),
    }
}
