//! Patients who are signed in, made through identity's store and not through
//! its surface: a thousand registrations would measure how long a password
//! takes to hash.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use anyhow::Context as _;
use identity::{
    Account, AccountState, IdentityTx, PatientProfile, Session,
    session::{Device, RefreshToken, SignInMethod},
    token::{Bearer, issue},
};
use kernel::{AccountId, Actor, Address, HumanName, Role, Sex, UsState};
use ports::{AuditAction, AuditEntry};
use serde_json::{Value, json};
use walk::{client::Client, form::answer_more};

use super::clinic::Clinic;

/// One who has not submitted anything yet.
pub struct Patient {
    pub account: AccountId,
    pub token: String,
}

/// Where the demo has providers with a license.
const STATES: [UsState; 6] =
    [UsState::Ma, UsState::Ny, UsState::Ca, UsState::Tx, UsState::Fl, UsState::Wa];

/// How many are made in one transaction.
const BATCH: usize = 200;

/// Fills the queue up to `count`.
pub async fn register(
    clinic: &Clinic,
    queue: &mut VecDeque<Patient>,
    count: usize,
) -> anyhow::Result<()> {
    let services = &clinic.services;
    let actor = Actor::system("bench.patients");
    while queue.len() < count {
        let mut tx = services.store.begin(&actor).await?;
        for number in queue.len()..count.min(queue.len() + BATCH) {
            let (patient, id) = sign_up(clinic, tx.as_mut(), number).await?;
            tx.audit(AuditEntry::new(AuditAction::Create, "account", id));
            queue.push_back(patient);
        }
        tx.commit().await?;
    }
    Ok(())
}

async fn sign_up(
    clinic: &Clinic,
    tx: &mut dyn IdentityTx,
    number: usize,
) -> anyhow::Result<(Patient, AccountId)> {
    let services = &clinic.services;
    let (env, now) = (&services.env, services.now());
    let id: AccountId = env.fresh();
    let account = Account {
        id,
        email: format!("{id}@patients.example").parse().context("an address")?,
        name: None,
        password: None,
        roles: BTreeSet::from([Role::Patient]),
        state: AccountState::Active { verified_at: now },
        verification: None,
        reset: None,
        email_change: None,
        previous_email: None,
        created_at: now,
        version: 1,
    };
    tx.insert(&account).await?;
    let profile = PatientProfile {
        patient: id.as_patient(),
        name: HumanName { given: "Robin".to_owned(), family: "Example".to_owned() },
        birth_date: "1984-06-30".parse().context("a date")?,
        sex: Sex::Male,
        address: Address {
            line1: "1 Example Street".to_owned(),
            line2: None,
            city: "Springfield".to_owned(),
            state: STATES[number % STATES.len()],
            postal_code: "02110".to_owned(),
        },
        phone: "+16175550123".parse().context("a number")?,
        time_zone: "America/New_York".parse().context("a time zone")?,
        ssn: None,
        updated_at: now,
        version: 1,
    };
    tx.insert(&profile).await?;
    let token = sign_in(clinic, tx, &account).await?;
    Ok((Patient { account: id, token }, id))
}

async fn sign_in(
    clinic: &Clinic,
    tx: &mut dyn IdentityTx,
    account: &Account,
) -> anyhow::Result<String> {
    let services = &clinic.services;
    let (env, now) = (&services.env, services.now());
    let session = Session::start(
        env.fresh(),
        account.id,
        (SignInMethod::Password, Device::default()),
        RefreshToken::from_secret(env.ids.secret()).digest(),
        services.policy.session_limits(account),
        now,
    );
    tx.insert_session(&session).await?;
    let roles = account.roles.iter().copied().collect();
    let bearer = Bearer::Account { account: account.id, session: session.id, roles };
    Ok(issue(services.keys.as_ref(), &services.policy, bearer, env.ids.uuid(), now)?.0)
}

/// The tokens of the demo's providers.
pub async fn providers(clinic: &Clinic) -> anyhow::Result<Vec<String>> {
    let mut tx = clinic.services.store.begin(&Actor::system("bench.patients")).await?;
    let mut tokens = Vec::new();
    for id in tx.accounts_with_roles(&[Role::Provider]).await? {
        let account: Option<Account> = tx.find(id).await?;
        let account = account.context("a provider has an account")?;
        tokens.push(sign_in(clinic, tx.as_mut(), &account).await?);
        tx.audit(AuditEntry::new(AuditAction::Create, "session", id));
    }
    tx.commit().await?;
    Ok(tokens)
}

/// What is submitted in each category: the answers of somebody healthy, found
/// out question by question as a front end does, as the body of the request.
pub async fn submissions(clinic: &Clinic, guide: &Patient) -> anyhow::Result<Vec<Vec<u8>>> {
    let client = Client::new(&clinic.url)?;
    let get = async |path: String| -> anyhow::Result<Value> {
        client.get(path.clone()).token(&guide.token).send().await?.expect(200, &path)?.json()
    };
    let categories = get("/api/categories".to_owned()).await?;
    let mut bodies = Vec::new();
    for category in categories["categories"].as_array().context("the categories")? {
        let id = category["id"].as_str().context("a category's id")?;
        let form = get(format!("/api/forms/categories/{id}")).await?;
        let items = form["items"].as_array().context("a form's items")?;
        let (mut answers, mut version) = (BTreeMap::new(), Value::Null);
        loop {
            let draft = client
                .put(
                    format!("/api/forms/drafts/{id}"),
                    json!({
                        "version": version,
                        "answers": answers,
                    }),
                )
                .token(&guide.token)
                .send()
                .await?
                .expect(200, "saving a draft")?
                .json()?;
            version = draft["version"].clone();
            let enabled: BTreeSet<String> = draft["enabled"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|link_id| link_id.as_str().map(str::to_owned))
                .collect();
            if !answer_more(items, &enabled, &BTreeMap::new(), &mut answers) {
                break;
            }
        }
        bodies.push(serde_json::to_vec(&json!({
            "category_id": id,
            "form_version_id": form["id"],
            "answers": answers,
        }))?);
    }
    Ok(bodies)
}
