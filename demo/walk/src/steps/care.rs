use anyhow::{Context as _, bail};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use reqwest::Method;
use serde_json::json;

use crate::{
    Staff, Walk, World,
    client::{eventually, text},
};

pub async fn decided(world: &mut World) -> anyhow::Result<()> {
    let mut walks = std::mem::take(&mut world.walks);
    for walk in &mut walks {
        let found = eventually("the decision", || async {
            let list = world.get("/api/assessments".to_owned(), &walk.token).await?;
            let assessments = list["assessments"].as_array().cloned().unwrap_or_default();
            Ok(assessments
                .into_iter()
                .find(|found| found["response_id"] == walk.response_id.as_str()))
        })
        .await?;
        walk.assessment_id = text(&found, "/id")?;
        walk.outcome = text(&found, "/outcome")?;
        walk.plan_id = found["treatment_plan_id"].as_str().unwrap_or_default().to_owned();
        let reasons: Vec<&str> = found["reasons"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|reason| reason["code"].as_str())
            .collect();
        world.report.detail(&format!(
            "{:24} {:3} {:22} {:14} {}",
            walk.person.name(),
            walk.person.state(),
            walk.person.category(),
            walk.outcome,
            reasons.join(", ")
        ));
    }
    for outcome in ["auto_approved", "in_review", "refused"] {
        if !walks.iter().any(|walk| walk.outcome == outcome) {
            bail!("nobody was {outcome}");
        }
    }
    world.walks = walks;
    Ok(())
}

fn provider_for<'a>(world: &'a World, walk: &Walk) -> Option<&'a Staff> {
    world
        .providers
        .iter()
        .find(|provider| provider.states.iter().any(|state| state == walk.person.state()))
}

pub async fn review(world: &mut World) -> anyhow::Result<()> {
    let mut walks = std::mem::take(&mut world.walks);
    let mut unlicensed = 0;
    for walk in &mut walks {
        match walk.outcome.as_str() {
            "in_review" => {
                if provider_for(world, walk).is_none() {
                    unlicensed += 1;
                    continue;
                }
                review_one(world, walk)
                    .await
                    .with_context(|| format!("the review of {}", walk.person.name()))?;
            }
            "auto_approved" => adopt(world, walk).await?,
            _ => {}
        }
    }
    let treated = walks.iter().filter(|walk| walk.treated()).count();
    world.report.detail(&format!(
        "{treated} treatment plans stand; {unlicensed} wait in states where nobody is licensed"
    ));
    if !walks.iter().any(|walk| walk.outcome == "in_review" && walk.treated()) {
        bail!("no review was approved");
    }
    world.walks = walks;
    Ok(())
}

/// The provider looks at what the patient has shown.
async fn read_photos(world: &World, walk: &Walk, token: &str) -> anyhow::Result<()> {
    let response = world.get(format!("/api/forms/responses/{}", walk.response_id), token).await?;
    let photos = response["photos"].as_array().context("the response has no photos")?;
    if photos.len() != usize::from(walk.person.photo().is_some()) {
        bail!("{} photos came with the response", photos.len());
    }
    for photo in photos {
        let file = world.client.get(text(photo, "/url")?).token(token).send().await?;
        let file = file.expect(200, "reading a photo")?;
        if file.content_type != "image/png" || !file.bytes.starts_with(b"\x89PNG") {
            bail!("the photo is {}", file.content_type);
        }
    }
    Ok(())
}

async fn review_one(world: &World, walk: &mut Walk) -> anyhow::Result<()> {
    let provider = provider_for(world, walk).context("nobody is licensed there")?;
    let path = |what: &str| format!("/api/providers/reviews/{}/{what}", walk.assessment_id);
    // Whoever is not licensed in the patient's state does not see the review.
    if let Some(other) = world
        .providers
        .iter()
        .find(|other| other.states.iter().all(|state| state != walk.person.state()))
    {
        let refused =
            world.client.post(path("claim"), json!({})).token(&other.token).send().await?;
        if refused.status.is_success() {
            bail!("a provider without a license in {} could claim it", walk.person.state());
        }
    }
    let claimed = world.client.post(path("claim"), json!({})).token(&provider.token).send().await?;
    // After a lost answer the claim is there already.
    if !claimed.status.is_success() && claimed.status.as_u16() != 409 {
        bail!("claiming failed: {}", claimed.text());
    }
    let eligibility = world
        .get(format!("/api/providers/patients/{}/eligibility", walk.patient_id), &provider.token)
        .await?;
    let rules = eligibility["assessments"][0]["rules"].as_array().map_or(0, Vec::len);
    if rules == 0 {
        bail!("the decision has no trace");
    }
    read_photos(world, walk, &provider.token).await?;
    // What the provider reads is what they sign. After a lost answer the review
    // is decided, and its plan stands.
    let shown = world
        .client
        .get(format!("/api/providers/reviews/{}", walk.assessment_id))
        .token(&provider.token)
        .send()
        .await?;
    if shown.status.as_u16() == 409
        && let Some(plan) = plan_of(world, walk).await?
    {
        walk.plan_id = text(&plan, "/id")?;
        walk.provider_id = provider.account_id.clone();
        return Ok(());
    }
    let shown = shown.expect(200, "reading the review")?.json()?;
    let (version, questions) = (text(&shown, "/version")?, &shown["questions"]);
    if questions.as_array().is_none_or(Vec::is_empty) || shown["proposed"].is_null() {
        bail!("the review shows {questions} and {}", shown["proposed"]);
    }
    // These doses depend on the kidneys, so the provider has them measured. The
    // day follows from the assessment, so that a repetition says the same.
    let mut approval = json!({
        "version": version,
        "met_elsewhere": "At the practice, on the day of the request, with an identity card.",
    });
    if matches!(walk.person.category(), "erectile-dysfunction" | "weight-management") {
        let decided: DateTime<Utc> = text(&eligibility, "/assessments/0/decided_at")?.parse()?;
        let measured_on = (decided - TimeDelta::days(20)).date_naive();
        approval["kidneys"] = json!({
            "serum_creatinine_mg_dl": 0.9, "weight_kg": 84.0, "measured_on": measured_on,
        });
    }
    if let Some(treatment) = walk.person.treatment(&approval["kidneys"]) {
        let looked_at = world
            .client
            .post(path("proposal"), json!({ "treatment": treatment }))
            .token(&provider.token)
            .send()
            .await?
            .expect(200, "looking at a treatment before signing it")?
            .json()?;
        approval["version"] = text(&looked_at, "/version")?.into();
        approval["treatment"] = treatment;
        if let Some(approval) = approval.as_object_mut() {
            approval.remove("kidneys");
        }
    }
    let plan = world
        .client
        .post(path("approve"), approval)
        .token(&provider.token)
        .key(world.key("approve", &walk.email))
        .send()
        .await?
        .expect(200, "approving")?
        .json()?;
    walk.plan_id = text(&plan, "/id")?;
    walk.provider_id = provider.account_id.clone();
    let treatment = &plan["treatment"];
    world.report.detail(&format!(
        "{:24} {} — {} ({} rules traced)",
        walk.person.name(),
        text(treatment, "/medication/display")?,
        text(treatment, "/sig")?,
        rules
    ));
    Ok(())
}

/// The plan that the review of this walk made, where it is decided.
async fn plan_of(world: &World, walk: &Walk) -> anyhow::Result<Option<serde_json::Value>> {
    let plans = world.get(format!("/api/treatment-plans/{}", walk.patient_id), &walk.token).await?;
    let mut plans = plans["plans"].as_array().into_iter().flatten();
    Ok(plans.find(|plan| plan["assessment_id"] == walk.assessment_id.as_str()).cloned())
}

/// An automatic approval has its plan from the protocol.
async fn adopt(world: &World, walk: &mut Walk) -> anyhow::Result<()> {
    let plan = eventually("the plan of an automatic approval", || async {
        let plans =
            world.get(format!("/api/treatment-plans/{}", walk.patient_id), &walk.token).await?;
        Ok(plans["plans"].as_array().and_then(|plans| plans.first().cloned()))
    })
    .await?;
    walk.plan_id = text(&plan, "/id")?;
    walk.provider_id = text(&plan, "/provider_id")?;
    if plan["automatic"] != true {
        bail!("the plan does not say that it came from a protocol");
    }
    Ok(())
}

/// Somebody whom a provider treats, and whose plan has video visits.
pub(super) async fn somebody_with_visits(world: &World) -> anyhow::Result<Walk> {
    let seen = world.walks.iter().filter(|walk| walk.outcome == "in_review" && walk.dispensed());
    for walk in seen {
        let path = format!("/api/subscriptions/{}/features", walk.subscription_id);
        let features = world.get(path, &walk.token).await?;
        let mut all = features["features"].as_array().into_iter().flatten();
        if all.any(|feature| feature["code"] == "video_visits") {
            return Ok(walk.clone());
        }
    }
    bail!("nobody to meet")
}

pub async fn meet(world: &mut World) -> anyhow::Result<()> {
    let walk = somebody_with_visits(world).await?;
    let provider = world
        .providers
        .iter()
        .find(|provider| provider.account_id == walk.provider_id)
        .context("the provider who treats is not among the seeded ones")?;

    let question = "My order came today. May I take it with food?";
    let message = world
        .client
        .post(
            "/api/messages/send",
            json!({ "recipient_id": provider.account_id, "topic": "treatment", "body": question }),
        )
        .token(&walk.token)
        .key(world.key("question", &walk.email))
        .send()
        .await?
        .done("sending a message")?
        .json()?;
    let thread = text(&message, "/thread_id")?;
    world
        .client
        .post(
            "/api/messages/send",
            json!({ "thread_id": thread, "body": "Yes, with or without food." }),
        )
        .token(&provider.token)
        .key(world.key("answer", &walk.email))
        .send()
        .await?
        .done("answering")?;
    let read = world.get(format!("/api/messages/{thread}"), &walk.token).await?;
    let bodies: Vec<_> = read["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|message| message["body"].as_str())
        .collect();
    if bodies.len() != 2 || !bodies.contains(&question) {
        bail!("the thread has {bodies:?}");
    }
    let stranger = world.walks.iter().find(|other| other.email != walk.email);
    if let Some(stranger) = stranger {
        let refused = world
            .client
            .get(format!("/api/messages/{thread}"))
            .token(&stranger.token)
            .send()
            .await?;
        if refused.status.as_u16() != 404 {
            bail!("a stranger got {} for the thread", refused.status);
        }
    }
    world.report.detail(&format!(
        "{} and the provider exchanged {} messages; a stranger finds no such thread",
        walk.person.name(),
        bodies.len()
    ));

    let consultation = book(world, &walk).await?;
    let id = text(&consultation, "/id")?;
    eventually("the video room", || async {
        let found = world.get(format!("/api/consultations/video/{id}"), &walk.token).await?;
        Ok((found["room_ready"] == true).then_some(()))
    })
    .await?;
    let mut session = String::new();
    for token in [&walk.token, &provider.token] {
        let admission = world
            .client
            .post(format!("/api/consultations/video/{id}/join"), json!({}))
            .token(token)
            .send()
            .await?
            .expect(200, "joining")?
            .json()?;
        session = text(&admission, "/vendor_session_id")?;
        let connect = json!({ "sessionId": session, "token": admission["token"] });
        world
            .client
            .emulator_call("opentok", Method::POST, "/_control/connect", Some(connect))
            .await?
            .expect(200, "connecting with the token")?;
        world.save("opentok-token.txt", text(&admission, "/token")?.as_bytes())?;
    }
    eventually("the consultation to begin", || async {
        let found = world.get(format!("/api/consultations/video/{id}"), &walk.token).await?;
        Ok((found["status"] == "in_progress").then_some(()))
    })
    .await?;
    world
        .client
        .put(
            format!("/api/consultations/video/{id}/notes"),
            json!({ "notes": "Tolerates the treatment well. Continue.", "complete": true }),
        )
        .token(&provider.token)
        .send()
        .await?
        .expect(200, "writing the notes")?;
    world.report.detail(&format!("both joined the video session {session:.24}…"));
    Ok(())
}

/// Books the first free slot from now on.
async fn book(world: &World, walk: &Walk) -> anyhow::Result<serde_json::Value> {
    let now = world.env.now();
    let slot = TimeDelta::minutes(15);
    let first = now.duration_trunc(slot)? + slot;
    for ahead in 0..40 {
        let starts_at = first + slot * ahead;
        let booked = world
            .client
            .post(
                "/api/consultations/video/create",
                json!({
                    "provider_id": walk.provider_id,
                    "category_id": walk.category_id,
                    "starts_at": starts_at,
                }),
            )
            .token(&walk.token)
            .key(world.key(&format!("book-{ahead}"), &walk.email))
            .send()
            .await?;
        if booked.status.as_u16() == 409 {
            continue;
        }
        return booked.done("booking")?.json();
    }
    bail!("no slot was free")
}
