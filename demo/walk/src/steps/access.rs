use anyhow::{Context as _, bail};
use kernel::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Staff, Walk, World,
    client::{Client, eventually, text},
};

pub async fn register(world: &mut World) -> anyhow::Result<()> {
    sign_in_staff(world).await?;
    let mut walks = std::mem::take(&mut world.walks);
    for walk in &mut walks {
        register_one(&world.client, walk)
            .await
            .with_context(|| format!("{} does not get in", walk.person.name()))?;
    }
    let states: std::collections::BTreeSet<_> =
        walks.iter().map(|walk| walk.person.state().to_owned()).collect();
    world.report.detail(&format!(
        "{} people in {} states are registered, verified by mail and signed in",
        walks.len(),
        states.len()
    ));
    world.walks = walks;
    Ok(())
}

async fn register_one(client: &Client, walk: &mut Walk) -> anyhow::Result<()> {
    let credentials = json!({ "email": walk.email, "password": walk.password });
    client
        .post("/api/auth/register", credentials.clone())
        .send()
        .await?
        .expect(202, "registering")?;
    let early = client.post("/api/auth/login", credentials.clone()).send().await?;
    if early.status.is_success() {
        bail!("an address that is not verified could sign in");
    }
    let token =
        eventually("the verification mail", || verification_token(client, &walk.email)).await?;
    let verified = client.post("/api/auth/verify-email", json!({ "token": token })).send().await?;
    // A repetition after a lost answer finds the link used, which is as good.
    if !verified.status.is_success() && verified.status.as_u16() >= 500 {
        bail!("verifying failed: {}", verified.text());
    }
    let session = sign_in(client, &walk.email, &walk.password).await?;
    walk.token = text(&session, "/access_token")?;
    walk.patient_id = text(&session, "/account_id")?;
    let profile = client
        .put("/api/profile", walk.person.profile())
        .token(&walk.token)
        .send()
        .await?
        .expect(200, "completing the profile")?
        .json()?;
    if profile["address"]["state"] != walk.person.state() {
        bail!("the profile came back another: {profile}");
    }
    for (path, body) in [
        ("/api/profile/allergies", walk.person.allergies()),
        ("/api/profile/medications", walk.person.medications()),
    ] {
        client.put(path, body).token(&walk.token).send().await?.expect(200, path)?;
    }
    Ok(())
}

/// The token of the link in the mail that arrived, once it has.
async fn verification_token(client: &Client, email: &str) -> anyhow::Result<Option<String>> {
    let path = format!("/_control/messages?to={}", email.replace('@', "%40").replace('+', "%2B"));
    let mails = client.emulator_call("smtp", Method::GET, &path, None).await?.json()?;
    Ok(mails.as_array().into_iter().flatten().find_map(|mail| {
        let (_, rest) = mail["text"].as_str()?.split_once("?token=")?;
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        Some(rest[..end].to_owned())
    }))
}

pub async fn sign_in(client: &Client, email: &str, password: &str) -> anyhow::Result<Value> {
    client
        .post("/api/auth/login", json!({ "email": email, "password": password }))
        .send()
        .await?
        .expect(200, &format!("signing {email} in"))?
        .json()
}

/// The addresses of the seeded staff with that role.
fn with_role(role: Role) -> impl Iterator<Item = &'static str> {
    seeds::identity::sign_ins().filter(move |(_, has)| *has == role).map(|(email, _)| email)
}

fn one(role: Role) -> anyhow::Result<&'static str> {
    with_role(role).next().with_context(|| format!("nobody was seeded as {role}"))
}

async fn sign_in_staff(world: &mut World) -> anyhow::Result<()> {
    let member = async |email: &str| -> anyhow::Result<Staff> {
        let session = sign_in(&world.client, email, &world.password).await?;
        Ok(Staff {
            account_id: text(&session, "/account_id")?,
            token: text(&session, "/access_token")?,
            states: Vec::new(),
        })
    };
    let mut providers = Vec::new();
    for email in with_role(Role::Provider) {
        let mut provider = member(email).await?;
        let profile = world.get("/api/providers/profile".to_owned(), &provider.token).await?;
        provider.states = profile["licenses"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|license| license["state"].as_str().map(str::to_owned))
            .collect();
        providers.push(provider);
    }
    let auditor = member(one(Role::Auditor)?).await?;
    let admin = member(one(Role::Admin)?).await?;
    world.providers = providers;
    world.auditor = Some(auditor);
    world.admin = Some(admin);
    Ok(())
}
