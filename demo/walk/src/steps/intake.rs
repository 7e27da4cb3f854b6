use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::{
    Walk, World,
    client::{Client, text},
    form::{Answers, answer_more},
};

pub async fn submit(world: &mut World) -> anyhow::Result<()> {
    let client = world.client.clone();
    let categories =
        client.get("/api/categories").send().await?.expect(200, "listing categories")?.json()?;
    let count = categories["categories"].as_array().map_or(0, Vec::len);
    if count < 6 {
        bail!("there are {count} categories, and six were sown");
    }
    let mut dropped = 0;
    let mut walks = std::mem::take(&mut world.walks);
    for walk in &mut walks {
        let key = world.key("submit", &walk.email);
        dropped += submit_one(&client, &categories, walk, &key)
            .await
            .with_context(|| format!("the form of {}", walk.person.name()))?;
    }
    world.report.detail(&format!(
        "{} responses submitted; {dropped} answers to questions that were not asked were dropped by the server",
        walks.len()
    ));
    world.walks = walks;
    Ok(())
}

async fn submit_one(
    client: &Client,
    categories: &Value,
    walk: &mut Walk,
    key: &str,
) -> anyhow::Result<usize> {
    let category = categories["categories"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|category| category["slug"] == walk.person.category())
        .with_context(|| format!("there is no category {}", walk.person.category()))?;
    walk.category_id = text(category, "/id")?;
    let plans = client
        .get(format!("/api/plans?category_id={}", walk.category_id))
        .send()
        .await?
        .expect(200, "listing plans")?
        .json()?;
    if plans["plans"].as_array().is_none_or(Vec::is_empty) {
        bail!("the category has no plans");
    }
    let form = client
        .get(format!("/api/forms/categories/{}", walk.category_id))
        .token(&walk.token)
        .send()
        .await?
        .expect(200, "reading the form")?
        .json()?;
    let items = form["items"].as_array().context("the form has no items")?;
    let mut wanted = walk.person.answers();
    if let Some((link_id, photo)) = walk.person.photo() {
        let path = format!("/api/forms/categories/{}/photos", walk.category_id);
        let uploaded = client
            .post_file(path, "photo", photo)
            .token(&walk.token)
            .key(key)
            .send()
            .await?
            .expect(201, "uploading a photo")?
            .json()?;
        wanted.insert(link_id.to_owned(), json!([uploaded["id"]]));
    }

    // Each save says which questions are asked now; the draft grows until
    // nothing is left to answer.
    let mut answers = Answers::new();
    let mut version = Value::Null;
    loop {
        let draft = save(client, walk, &version, &answers).await?;
        version = draft["version"].clone();
        let enabled: BTreeSet<String> = draft["enabled"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|link_id| link_id.as_str().map(str::to_owned))
            .collect();
        if !answer_more(items, &enabled, &wanted, &mut answers) {
            break;
        }
    }

    // An answer to a question that is not asked must not count.
    let stray = walk.person.stray_answer();
    let mut sent = answers.clone();
    if let Some((link_id, value)) = &stray
        && !answers.contains_key(link_id)
    {
        sent.insert(link_id.clone(), value.clone());
    }
    let body = json!({
        "category_id": walk.category_id,
        "form_version_id": form["id"],
        "answers": sent,
    });
    let response = client
        .post("/api/forms/submit", body.clone())
        .token(&walk.token)
        .key(key)
        .send()
        .await?
        .done("submitting")?
        .json()?;
    let again = client.post("/api/forms/submit", body).token(&walk.token).key(key).send().await?;
    if again.json()?["id"] != response["id"] {
        bail!("the same key gave another response");
    }
    walk.response_id = text(&response, "/id")?;
    let kept = response["answers"].as_object().context("the response has no answers")?;
    if let Some((link_id, _)) = &stray
        && kept.contains_key(link_id)
    {
        bail!("the answer to {link_id} was kept, though it was not asked");
    }
    Ok(sent.len() - kept.len().min(sent.len()))
}

/// Saves the draft over the version that was seen; after a lost answer the
/// server's version is read again.
async fn save(
    client: &Client,
    walk: &Walk,
    version: &Value,
    answers: &Answers,
) -> anyhow::Result<Value> {
    let path = format!("/api/forms/drafts/{}", walk.category_id);
    let saved = client
        .put(path.clone(), json!({ "version": version, "answers": answers }))
        .token(&walk.token)
        .send()
        .await?;
    if saved.status.as_u16() != 409 && saved.status.as_u16() != 412 {
        return saved.expect(200, "saving the draft")?.json();
    }
    let current = client.get(path.clone()).token(&walk.token).send().await?.json()?;
    client
        .put(path, json!({ "version": current["version"], "answers": answers }))
        .token(&walk.token)
        .send()
        .await?
        .expect(200, "saving the draft again")?
        .json()
}
