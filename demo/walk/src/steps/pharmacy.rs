use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Walk, World,
    client::{eventually, text},
};

pub async fn prescribe(world: &mut World) -> anyhow::Result<()> {
    let pharmacies = world.get("/api/pharmacies".to_owned(), &world.providers[0].token).await?;
    let pharmacy = pharmacies["items"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|pharmacy| pharmacy["mail_order"] == true)
        .context("there is no pharmacy that ships")?
        .clone();
    let mut walks = std::mem::take(&mut world.walks);
    for walk in walks.iter_mut().filter(|walk| walk.treated()) {
        // What a patient starts to take after the approval counts as well.
        if let Some(medications) = walk.person.medications_since() {
            world
                .client
                .put("/api/profile/medications", medications)
                .token(&walk.token)
                .send()
                .await?
                .expect(200, "reporting a new medication")?;
        }
        prescribe_one(world, walk, &pharmacy)
            .await
            .with_context(|| format!("the prescription of {}", walk.person.name()))?;
    }
    let sent = walks.iter().filter(|walk| walk.dispensed()).count();
    let blocked = walks.iter().filter(|walk| walk.prescription_status == "blocked").count();
    if sent == 0 || blocked == 0 {
        bail!("{sent} prescriptions are active and {blocked} were stopped; both were expected");
    }
    save_new_rx(world, &walks).await?;
    world.report.detail(&format!(
        "{sent} prescriptions verified by the pharmacy, {blocked} stopped by an interaction"
    ));
    world.walks = walks;
    Ok(())
}

async fn prescribe_one(world: &World, walk: &mut Walk, pharmacy: &Value) -> anyhow::Result<()> {
    if walk.outcome != "auto_approved" {
        let provider = world
            .providers
            .iter()
            .find(|provider| provider.account_id == walk.provider_id)
            .context("who treats")?;
        let prescription = world
            .client
            .post(
                "/api/prescriptions/erx",
                json!({
                    "treatment_plan_id": walk.plan_id,
                    "plan_version": 1,
                    "pharmacy_id": pharmacy["id"],
                }),
            )
            .token(&provider.token)
            .key(world.key("prescribe", &walk.email))
            .send()
            .await?
            .done("prescribing")?
            .json()?;
        walk.prescription_id = text(&prescription, "/id")?;
    }
    let settled = eventually("the pharmacy's word on the prescription", || async {
        let list = world.get("/api/prescriptions".to_owned(), &walk.token).await?;
        let found = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|found| found["treatment_plan_id"] == walk.plan_id.as_str())
            .cloned();
        Ok(found.filter(|found| {
            matches!(found["status"].as_str(), Some("active" | "completed" | "blocked" | "failed"))
        }))
    })
    .await?;
    walk.prescription_id = text(&settled, "/id")?;
    walk.prescription_status = text(&settled, "/status")?;
    let alerts: Vec<&str> = settled["alerts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|alert| alert["blocking"] == true)
        .filter_map(|alert| alert["summary"].as_str())
        .collect();
    if walk.prescription_status == "completed" {
        walk.prescription_status = "active".to_owned();
    }
    if walk.prescription_status == "failed" {
        bail!("the pharmacy refused it: {}", settled["failure"]);
    }
    world.report.detail(&format!(
        "{:24} {:34} {} {}",
        walk.person.name(),
        text(&settled, "/medication/display")?,
        walk.prescription_status,
        alerts.join("; ")
    ));
    Ok(())
}

/// Keeps one NewRx as the pharmacy received it, and counts all of them.
async fn save_new_rx(world: &World, walks: &[Walk]) -> anyhow::Result<()> {
    let list =
        world.client.emulator_call("erx", Method::GET, "/_control/messages", None).await?.json()?;
    let messages = list.as_array().cloned().unwrap_or_default();
    let mut ours = 0;
    let numbers: BTreeSet<String> = walks
        .iter()
        .filter(|walk| walk.dispensed())
        .map(|walk| walk.prescription_id.clone())
        .collect();
    for message in &messages {
        let id = text(message, "/message_id")?;
        let path = format!("/_control/messages/{id}");
        let xml = world.client.emulator_call("erx", Method::GET, &path, None).await?;
        let body = String::from_utf8_lossy(&xml.bytes).into_owned();
        // The order number is the prescription's id as the message writes it.
        let Some(number) = numbers.iter().find(|number| body.contains(&number.replace('-', "")))
        else {
            continue;
        };
        ours += 1;
        if !body.contains("<NewRx>") {
            bail!("the pharmacy received something else for {number}");
        }
        world.save("newrx.xml", body.as_bytes())?;
    }
    if ours != numbers.len() {
        bail!("{} prescriptions made {ours} NewRx messages", numbers.len());
    }
    Ok(())
}

pub async fn deliver(world: &mut World) -> anyhow::Result<()> {
    let walks = std::mem::take(&mut world.walks);
    let mut delivered = 0;
    for walk in walks.iter().filter(|walk| walk.dispensed()) {
        deliver_one(world, walk)
            .await
            .with_context(|| format!("the box of {}", walk.person.name()))?;
        delivered += 1;
    }
    for walk in walks.iter().filter(|walk| walk.prescription_status == "blocked") {
        let shipments = shipments(world, walk).await?;
        if !shipments.is_empty() {
            bail!("a blocked prescription was shipped");
        }
    }
    world.report.detail(&format!("{delivered} boxes delivered, nothing shipped twice"));
    world.walks = walks;
    Ok(())
}

async fn shipments(world: &World, walk: &Walk) -> anyhow::Result<Vec<Value>> {
    let history =
        world.get(format!("/api/shipments/history/{}", walk.patient_id), &walk.token).await?;
    Ok(history["items"].as_array().cloned().unwrap_or_default())
}

async fn deliver_one(world: &World, walk: &Walk) -> anyhow::Result<()> {
    let tracking = eventually("a label with a tracking number", || async {
        let found = shipments(world, walk).await?;
        if found.len() > 1 {
            bail!("there are {} shipments for one fill", found.len());
        }
        Ok(found.first().and_then(|one| one["tracking_number"].as_str().map(str::to_owned)))
    })
    .await?;
    // The carrier tells late what it knew early; the later news must not be
    // undone by it.
    for (status, expected) in [
        ("in_transit", "in_transit"),
        ("out_for_delivery", "out_for_delivery"),
        ("delivered", "delivered"),
    ] {
        let order = json!({ "tracking_code": tracking, "status": status });
        world
            .client
            .emulator_call("easypost", Method::POST, "/_control/trackers", Some(order))
            .await?
            .expect(200, "the carrier moves the box")?;
        eventually(&format!("the shipment to be {expected}"), || async {
            let found = world.get(format!("/api/shipments/{tracking}"), &walk.token).await?;
            let now = found["shipment"]["status"].as_str().unwrap_or_default();
            Ok((now == expected).then_some(()))
        })
        .await?;
    }
    let told = eventually("the patient to be told of the delivery", || async {
        let history = world
            .get(format!("/api/notifications/history/{}?limit=200", walk.patient_id), &walk.token)
            .await?;
        let entries = history["notifications"].as_array().cloned().unwrap_or_default();
        let delivered = |channel: &str| {
            entries.iter().any(|entry| {
                entry["channel"] == channel
                    && entry["about_status"] == "delivered"
                    && entry["state"] == "delivered"
            })
        };
        Ok((delivered("in_app") && delivered("mail")).then_some(entries.len()))
    })
    .await?;
    world.report.detail(&format!(
        "{:24} {tracking} delivered; {told} notifications on the way",
        walk.person.name()
    ));
    Ok(())
}
