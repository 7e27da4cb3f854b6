//! How a person gets in the first time, and again after forgetting: register,
//! verify the address, reset the password. No answer tells whether an address
//! has an account; the mail does, to its owner.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kernel::{AccountId, Actor, EmailAddress, FieldError, RequestContext, Uuid};
use ports::{
    AuditAction, AuditEntry, Event, JobRequest, JobSpec, Locked, PortError, Sealed, repository::get,
};
use serde::{Deserialize, Serialize};

use crate::{
    Account, AccountState, IdentityError, IdentityTx, PasswordHash, Services,
    account::{ChallengePurpose, LinkToken},
    credentials::tell,
    directory::contact,
    error::Result,
    password,
    store::lock_account,
    voiding::{Cause, Voided, void},
};

fn parse_email(text: &str) -> Result<EmailAddress> {
    text.parse().map_err(|_| IdentityError::field("email", "invalid", "This is no e-mail address."))
}

/// What somebody who is not signed in asks for with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    Register,
    Verification,
    Reset,
}

impl Ask {
    fn word(self) -> &'static str {
        match self {
            Self::Register => "registration",
            Self::Verification => "verification",
            Self::Reset => "password_reset",
        }
    }
}

/// The job that does what was asked for, once the answer is given: whether the
/// address has an account is looked up by nobody who waits, so that the time of
/// an answer does not tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerAsk {
    pub id: Uuid,
    pub ask: Ask,
    /// The address, and for a registration the digest of the password, sealed.
    sealed: String,
}

impl JobSpec for AnswerAsk {
    const KIND: &'static str = "identity.answer_ask";
}

#[derive(Serialize, Deserialize)]
struct Asked {
    email: String,
    hash: Option<String>,
}

fn place(id: Uuid) -> String {
    format!("identity.ask/{id}")
}

async fn take(
    services: &Services,
    request: RequestContext,
    ask: Ask,
    email: &EmailAddress,
    hash: Option<PasswordHash>,
) -> Result<AnswerAsk> {
    let id = services.env.ids.uuid();
    let hash = hash.map(|hash| hash.as_phc().to_owned());
    let asked = serde_json::to_vec(&Asked { email: email.as_str().to_owned(), hash })
        .map_err(|error| PortError::internal("a request does not serialize", error))?;
    let sealed = services.sealer.seal(&place(id), &asked)?;
    let job = AnswerAsk { id, ask, sealed: STANDARD.encode(sealed.0) };
    let mut tx = services.store.begin(&Actor::anonymous(request)).await?;
    tx.enqueue(JobRequest::new(&job));
    // Who asked from where; the address itself stays out of the log.
    tx.audit(
        AuditEntry::new(AuditAction::Execute, "account_request", id).detail("ask", ask.word()),
    );
    tx.commit().await?;
    Ok(job)
}

/// Does what was asked for. Asked again after a crash it mails at most once more.
pub async fn answer(services: &Services, job: AnswerAsk) -> Result<()> {
    let broken = |error: &dyn std::fmt::Display| {
        PortError::bug(format!("an account request does not open: {error}"))
    };
    let sealed = STANDARD.decode(&job.sealed).map_err(|error| broken(&error))?;
    let asked = services.sealer.open(&place(job.id), &Sealed(sealed))?;
    let asked: Asked = serde_json::from_slice(&asked).map_err(|error| broken(&error))?;
    let email: EmailAddress = asked.email.parse().map_err(|error| broken(&error))?;
    let actor = Actor::system(AnswerAsk::KIND);
    match (job.ask, asked.hash) {
        (Ask::Register, Some(hash)) => {
            open_account(services, &actor, &email, PasswordHash::from_phc(hash), job.id).await
        }
        (Ask::Register, None) => Err(broken(&"a registration without a password").into()),
        (kind, _) => mail_link(services, &actor, &email, job.id, kind).await,
    }
}

/// Takes the registration of a patient. The answer is the same whether or not
/// the address is free; its owner learns the difference by mail.
pub async fn register(
    services: &Services,
    request: RequestContext,
    email: &str,
    new_password: &str,
) -> Result<AnswerAsk> {
    let mut errors = Vec::new();
    let email = email
        .parse::<EmailAddress>()
        .map_err(|_| {
            errors.push(FieldError::new("email", "invalid", "This is no e-mail address."));
        })
        .ok();
    if let Some(email) = &email
        && let Err(error) =
            password::check("password", &password::normalize(new_password), email, None)
    {
        errors.push(error);
    }
    let Some(email) = email.filter(|_| errors.is_empty()) else {
        return Err(IdentityError::Invalid(errors));
    };
    services.check_reach("email", &email).await?;
    let password = services.check_password("password", new_password, &email, None).await?;
    let hash = services.passwords.hash(&password).await?;
    take(services, request, Ask::Register, &email, Some(hash)).await
}

async fn open_account(
    services: &Services,
    actor: &Actor,
    email: &EmailAddress,
    hash: PasswordHash,
    ask: Uuid,
) -> Result<()> {
    match create(services, actor, email, hash, ask).await {
        // Somebody registered the address since it was looked up.
        Err(IdentityError::Port(PortError::Conflict(_))) => {
            greet_again(services, actor, email, ask).await
        }
        other => other,
    }
}

async fn create(
    services: &Services,
    actor: &Actor,
    email: &EmailAddress,
    hash: PasswordHash,
    ask: Uuid,
) -> Result<()> {
    let mut tx = services.store.begin(actor).await?;
    if tx.account_by_email(email).await?.is_some() {
        drop(tx);
        return greet_again(services, actor, email, ask).await;
    }
    let env = &services.env;
    let account =
        Account::register(env.fresh(), email.clone(), hash, env.ids.as_ref(), services.now());
    tx.insert(&account).await?;
    let entry = AuditEntry::new(AuditAction::Create, "account", account.id);
    tx.audit(entry.detail("request", ask.to_string()));
    tx.emit(Event::AccountRegistered { account: account.id });
    tx.commit().await?;
    Ok(())
}

/// Somebody registers with an address that has an account: an unverified one
/// gets its link again, a verified one a mail that says so.
async fn greet_again(
    services: &Services,
    actor: &Actor,
    email: &EmailAddress,
    ask: Uuid,
) -> Result<()> {
    let mut tx = services.store.begin(actor).await?;
    let Some(mut account) = hold(tx.as_mut(), email).await? else { return Ok(()) };
    let id = account.id;
    let event = match account.state {
        AccountState::Unverified => {
            match account.request_verification(services.env.ids.as_ref(), services.now()) {
                Some(asked) => {
                    account.set(asked);
                    tx.save(&mut account).await?;
                    Event::EmailVerificationRequested { account: id }
                }
                None => return Ok(()),
            }
        }
        AccountState::Active { .. } => Event::RegistrationRepeated { account: id },
        AccountState::Disabled { .. } => return Ok(()),
    };
    tx.audit(
        AuditEntry::new(AuditAction::Create, "account", id)
            .failed()
            .detail("reason", "exists")
            .detail("request", ask.to_string()),
    );
    tx.emit(event);
    tx.commit().await?;
    Ok(())
}

/// The account of the address, held, so that of two requests at once the second finds the
/// mail of the first.
async fn hold(tx: &mut dyn IdentityTx, email: &EmailAddress) -> Result<Option<Locked<Account>>> {
    let Some(found) = tx.account_by_email(email).await? else { return Ok(None) };
    let held = lock_account(tx, found.id).await?;
    Ok(held.filter(|held| held.email == *email))
}

/// Asks for the verification mail again; silent about whether there is one.
pub async fn resend_verification(
    services: &Services,
    request: RequestContext,
    email: &str,
) -> Result<AnswerAsk> {
    take(services, request, Ask::Verification, &parse_email(email)?, None).await
}

/// Renews the link of the account and has it mailed; nothing where the account has no use
/// for it.
async fn mail_link(
    services: &Services,
    actor: &Actor,
    email: &EmailAddress,
    ask: Uuid,
    kind: Ask,
) -> Result<()> {
    let mut tx = services.store.begin(actor).await?;
    let Some(mut account) = hold(tx.as_mut(), email).await? else { return Ok(()) };
    let (id, ids, now) = (account.id, services.env.ids.as_ref(), services.now());
    let (asked, change, event) = match kind {
        Ask::Reset => (
            account.request_reset(ids, now),
            "password_reset_requested",
            Event::PasswordResetRequested { account: id, invited: false },
        ),
        Ask::Register | Ask::Verification => (
            account.request_verification(ids, now),
            "verification_requested",
            Event::EmailVerificationRequested { account: id },
        ),
    };
    let Some(asked) = asked else { return Ok(()) };
    account.set(asked);
    tx.save(&mut account).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "account", id)
            .detail("change", change)
            .detail("request", ask.to_string()),
    );
    tx.emit(event);
    tx.commit().await?;
    Ok(())
}

/// Proves an address by the token of the link that was mailed to it.
pub async fn verify_email(services: &Services, request: RequestContext, token: &str) -> Result<()> {
    let link = LinkToken::parse(token)?;
    let actor = Actor::anonymous(request);
    let mut tx = services.store.begin(&actor).await?;
    let mut account =
        lock_account(tx.as_mut(), link.account).await?.ok_or(IdentityError::InvalidLink)?;
    let verified = account.is_active();
    account.set(account.verify_email(&link, services.sealer.as_ref(), services.now())?);
    if verified {
        return Ok(());
    }
    tx.save(&mut account).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "account", account.id)
            .detail("change", "email_verified"),
    );
    tx.emit(Event::EmailVerified { account: account.id });
    tx.commit().await?;
    Ok(())
}

/// Asks for a reset mail; silent about whether there is an account.
pub async fn forgot_password(
    services: &Services,
    request: RequestContext,
    email: &str,
) -> Result<AnswerAsk> {
    take(services, request, Ask::Reset, &parse_email(email)?, None).await
}

/// Sets a new password by the token of the link that was mailed, and ends
/// every session of the account.
pub async fn reset_password(
    services: &Services,
    request: RequestContext,
    token: &str,
    new_password: &str,
) -> Result<()> {
    let link = LinkToken::parse(token)?;
    let actor = Actor::anonymous(request);
    let sealer = services.sealer.as_ref();
    let account = {
        let mut tx = services.store.begin(&actor).await?;
        let account: Option<Account> = tx.find(link.account).await?;
        account.ok_or(IdentityError::InvalidLink)?
    };
    account.may_reset(&link, sealer, services.now())?;
    let name = contact(services, account.id).await?.name;
    let password =
        services.check_password("password", new_password, &account.email, name.as_ref()).await?;
    if account.password.is_some()
        && services.passwords.verify(&password, account.password.as_ref()).await?
    {
        return Err(IdentityError::Invalid(vec![crate::password::unchanged("password")]));
    }
    let hash = services.passwords.hash(&password).await?;

    let now = services.now();
    let mut tx = services.store.begin(&actor).await?;
    let mut account =
        lock_account(tx.as_mut(), link.account).await?.ok_or(IdentityError::InvalidLink)?;
    let proves_address = account.state == AccountState::Unverified;
    account.set(account.reset_password(&link, hash, sealer, now)?);
    let Voided { sessions: ended, suspended } =
        void(services, tx.as_mut(), &mut account, Cause::PasswordReset).await?;
    tx.save(&mut account).await?;
    // Whoever reads the mailbox from here is no stranger any more.
    tx.know_network(&account.email, actor.request.ip, now).await?;
    tx.audit(
        AuditEntry::new(AuditAction::Update, "account", account.id)
            .detail("change", "password_reset")
            .detail("sessions_ended", ended.len())
            .detail("factors_suspended", suspended),
    );
    let change = if suspended > 0 { "factors_suspended" } else { "password_reset" };
    tell(tx.as_mut(), &account, change);
    if proves_address {
        tx.emit(Event::EmailVerified { account: account.id });
    }
    tx.commit().await?;
    services.forget_sessions(&ended).await;
    Ok(())
}

/// The secret of an account's verification link, for whoever sends the mail.
/// `None` when there is nothing left to verify. It is the same each time, so a
/// mail that is sent again holds the link of the first.
pub async fn verification_link_token(
    services: &Services,
    account: AccountId,
) -> Result<Option<String>> {
    link_token(services, account, ChallengePurpose::VerifyEmail).await
}

/// The secret of an account's link to choose a password: a reset, or the
/// invitation of a member of the staff.
pub async fn reset_link_token(services: &Services, account: AccountId) -> Result<Option<String>> {
    link_token(services, account, ChallengePurpose::ResetPassword).await
}

async fn link_token(
    services: &Services,
    account: AccountId,
    purpose: ChallengePurpose,
) -> Result<Option<String>> {
    let mut tx = services.store.begin(&Actor::system("identity.link_token")).await?;
    let account = get::<Account>(tx.as_mut(), account).await?;
    Ok(account.link_token(purpose, services.sealer.as_ref(), services.now())?)
}
