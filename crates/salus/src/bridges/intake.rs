use async_trait::async_trait;
use chrono::{DateTime, Utc};
use intake::{Facts, FormDefinition, store::Surroundings};
use kernel::{Actor, Age, CategoryId, FieldError, PatientId};
use ports::Result;

use super::{Bridges, absent_or, care::schema_of, crossing};

#[async_trait]
impl Surroundings for Bridges {
    async fn category_is_active(&self, category: CategoryId) -> Result<bool> {
        let actor = Actor::system("intake.category");
        let found = catalog::category(self.catalog.as_ref(), &actor, category).await;
        Ok(absent_or("a category", found)?.is_some_and(|category| category.active))
    }

    async fn objections(
        &self,
        category: CategoryId,
        definition: &FormDefinition,
    ) -> Result<Vec<FieldError>> {
        care::rules::objections(self.care.as_ref(), category, &schema_of(definition))
            .await
            .map_err(|error| crossing("the rules in force", error))
    }

    async fn facts(&self, patient: PatientId, at: DateTime<Utc>) -> Result<Facts> {
        let Some(profile) = self.profile("intake.facts", patient).await? else {
            return Ok(Facts::default());
        };
        let age = Age::at(profile.birth_date, profile.address.state, at);
        Ok(Facts { sex: Some(profile.sex), age: u16::try_from(age.years).ok() })
    }
}
