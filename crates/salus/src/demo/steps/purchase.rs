use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::demo::{
    Walk, World,
    client::{eventually, text},
};

pub async fn subscribe(world: &mut World) -> anyhow::Result<()> {
    let mut walks = std::mem::take(&mut world.walks);
    let mut paid = 0;
    for walk in walks.iter_mut().filter(|walk| walk.treated()) {
        subscribe_one(world, walk)
            .await
            .with_context(|| format!("the subscription of {}", walk.person.name()))?;
        paid += 1;
    }
    // Whoever was refused cannot buy the treatment after all.
    if let Some(refused) = walks.iter().find(|walk| walk.outcome == "refused") {
        let price = price(world, refused).await?;
        let answer = start(world, refused, &price, "refused").await?;
        if answer.status.is_success() {
            bail!("a refused patient could subscribe");
        }
    }
    let last = walks.iter().rfind(|walk| walk.treated()).context("nobody subscribed")?;
    let pdf = world
        .client
        .get(format!("/api/invoices/{}/pdf", last.invoice_id))
        .token(&last.token)
        .send()
        .await?
        .expect(200, "downloading the invoice")?;
    if !pdf.bytes.starts_with(b"%PDF-") || pdf.content_type != "application/pdf" {
        bail!("the invoice is no PDF");
    }
    world.save("invoice.pdf", &pdf.bytes)?;
    world.report.detail(&format!(
        "{paid} subscriptions active, each paid once; invoice.pdf has {} bytes",
        pdf.bytes.len()
    ));
    world.walks = walks;
    Ok(())
}

/// What the plan promises is open, and what it does not have is not.
async fn opens_its_features(world: &World, walk: &Walk) -> anyhow::Result<()> {
    let path = format!("/api/subscriptions/{}/features", walk.subscription_id);
    let features = world.get(path, &walk.token).await?;
    let feature = text(&features, "/features/0/code")?;
    let access = world
        .client
        .post("/api/auth/validate-access", json!({ "feature": feature }))
        .token(&walk.token)
        .send()
        .await?
        .expect(200, "asking for access")?
        .json()?;
    if access["allowed"] != true || access["subscription_id"] != walk.subscription_id.as_str() {
        bail!("{feature} is not open to its subscriber: {access}");
    }
    Ok(())
}

/// The dearest monthly price of the category.
async fn price(world: &World, walk: &Walk) -> anyhow::Result<Value> {
    let plans = world
        .client
        .get(format!("/api/plans?category_id={}", walk.category_id))
        .send()
        .await?
        .expect(200, "listing plans")?
        .json()?;
    plans["plans"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|plan| plan["prices"].as_array().into_iter().flatten())
        .filter(|price| price["interval"] == "monthly")
        .max_by_key(|price| price["amount"]["minor"].as_i64())
        .cloned()
        .context("the category has no monthly price")
}

async fn start(
    world: &World,
    walk: &Walk,
    price: &Value,
    word: &str,
) -> anyhow::Result<crate::demo::client::Answer> {
    let body = json!({
        "price_id": price["id"],
        "consent": { "accepted": true, "terms_version": "2026-01", "amount": price["amount"] },
    });
    world
        .client
        .post("/api/subscriptions", body)
        .token(&walk.token)
        .key(world.key(word, &walk.email))
        .send()
        .await
}

async fn subscribe_one(world: &World, walk: &mut Walk) -> anyhow::Result<()> {
    let card = world
        .client
        .post("/api/payment-methods", json!({ "payment_method": "pm_card_visa" }))
        .token(&walk.token)
        .key(world.key("card", &walk.email))
        .send()
        .await?
        .done("adding a card")?
        .json()?;
    if card["last4"] != "4242" {
        bail!("the card came back another: {card}");
    }
    let price = price(world, walk).await?;
    let subscription =
        start(world, walk, &price, "subscribe").await?.done("subscribing")?.json()?;
    walk.subscription_id = text(&subscription, "/id")?;

    let invoice = eventually("the invoice to be paid", || async {
        let history =
            world.get(format!("/api/invoices/history/{}", walk.patient_id), &walk.token).await?;
        let invoices = history["invoices"].as_array().cloned().unwrap_or_default();
        if invoices.len() > 1 {
            bail!("there are {} invoices for one period", invoices.len());
        }
        Ok(invoices.into_iter().find(|invoice| invoice["status"] == "paid"))
    })
    .await?;
    walk.invoice_id = text(&invoice, "/id")?;
    if invoice["total"] != price["amount"] || invoice["number"].is_null() {
        bail!("the invoice is not what was bought: {invoice}");
    }
    eventually("the subscription to be active", || async {
        let found =
            world.get(format!("/api/subscriptions/{}", walk.subscription_id), &walk.token).await?;
        Ok((found["status"] == "active").then_some(()))
    })
    .await?;
    opens_its_features(world, walk).await?;
    let path = format!("/_control/charges?invoice_id={}", walk.invoice_id);
    let charges = world.client.emulator_call("stripe", Method::GET, &path, None).await?.json()?;
    match charges["charges"].as_array().map(Vec::len) {
        Some(1) => Ok(()),
        other => bail!("the card was charged {other:?} times for one invoice"),
    }
}
