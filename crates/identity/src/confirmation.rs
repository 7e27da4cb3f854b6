//! Proving by a mailed link that a second factor is the owner's, see
//! [`crate::standing`].

use kernel::{AccountId, Actor, RequestContext, Uuid};
use ports::repository::get;

use crate::{
    Account, IdentityError, IdentityTx, Services, Standing,
    account::LinkToken,
    credentials::{end_sessions, tell},
    error::Result,
    factor::Totp,
    second_factor::{ask_owner, changed, own},
    session::RevocationReason,
    store::lock_account,
};

/// The secret of the link that proves a factor, for whoever sends the mail.
/// `None` when it is proved or gone.
pub async fn link_token(
    services: &Services,
    account: AccountId,
    factor: Uuid,
) -> Result<Option<String>> {
    let mut tx = services.store.begin(&Actor::system("identity.link_token")).await?;
    let account = get::<Account>(tx.as_mut(), account).await?;
    let standings = standings(tx.as_mut(), account.id).await?;
    let Some((_, standing)) = standings.into_iter().find(|(id, _)| *id == factor) else {
        return Ok(None);
    };
    Ok(standing.link_token(&account, factor, services.sealer.as_ref(), services.now())?)
}

/// The factors that are set up, held until the transaction ends; an
/// authenticator app goes by the account's id.
async fn standings(tx: &mut dyn IdentityTx, account: AccountId) -> Result<Vec<(Uuid, Standing)>> {
    let totp = tx.lock_totp(account).await?.filter(|totp| totp.confirmed_at.is_some());
    let mut found: Vec<_> = totp.into_iter().map(|totp| (account.uuid(), totp.standing)).collect();
    let passkeys = tx.lock_passkeys(account).await?;
    found.extend(passkeys.into_iter().map(|passkey| (passkey.id.uuid(), passkey.standing)));
    Ok(found)
}

async fn save(
    tx: &mut dyn IdentityTx,
    account: AccountId,
    factor: Uuid,
    standing: Standing,
) -> Result<()> {
    if factor == account.uuid() {
        if let Some(totp) = tx.lock_totp(account).await? {
            tx.save_totp(&Totp { standing, ..totp }).await?;
        }
        return Ok(());
    }
    for mut passkey in tx.lock_passkeys(account).await? {
        if passkey.id.uuid() == factor {
            passkey.standing = standing;
            tx.save_passkey(&passkey).await?;
        }
    }
    Ok(())
}

/// Proves a factor by the token of the link that was mailed. One that was
/// suspended counts again, and the sessions that have not shown it end.
pub async fn confirm(services: &Services, request: RequestContext, token: &str) -> Result<()> {
    let link = LinkToken::parse(token)?;
    let mut tx = services.store.begin(&Actor::anonymous(request)).await?;
    let account =
        lock_account(tx.as_mut(), link.account).await?.filter(|account| account.is_active());
    let account = account.ok_or(IdentityError::InvalidLink)?;
    tx.lock_live_sessions(account.id).await?;
    let (sealer, now) = (services.sealer.as_ref(), services.now());
    let standings = standings(tx.as_mut(), account.id).await?;
    let mut found = None;
    for (factor, standing) in &standings {
        if let Some(proved) = standing.confirm(&account, *factor, &link, sealer, now)? {
            found = Some((*factor, *standing, proved));
        }
    }
    let (factor, before, proved) = found.ok_or(IdentityError::InvalidLink)?;
    save(tx.as_mut(), account.id, factor, proved).await?;
    let mut ended = Vec::new();
    if !before.is_active() {
        let reason = RevocationReason::FactorsChanged;
        ended = end_sessions(services, tx.as_mut(), &account, None, reason).await?;
    }
    // The codes came with one of the factors; that it was a proved one is known
    // where all are.
    let mut others = standings.iter().filter(|(id, _)| *id != factor);
    if others.all(|(_, other)| other.is_proved() || !other.is_active()) {
        tx.prove_recovery_codes(account.id).await?;
    }
    tx.audit(changed(account.id, "factor_confirmed").detail("sessions_ended", ended.len()));
    tell(tx.as_mut(), &account, "factor_confirmed");
    tx.commit().await?;
    services.forget_sessions(&ended).await;
    Ok(())
}

/// Has the links of all factors that are not proved mailed again, at most once
/// a minute each.
pub async fn request(services: &Services, actor: &Actor) -> Result<()> {
    let (id, _) = own(actor)?;
    let mut tx = services.store.begin(actor).await?;
    let account = lock_account(tx.as_mut(), id).await?.ok_or(IdentityError::InvalidToken)?;
    let (ids, now) = (services.env.ids.as_ref(), services.now());
    let mut asked = 0_usize;
    for (factor, standing) in standings(tx.as_mut(), account.id).await? {
        if standing.is_proved() || standing.asked_lately(now) {
            continue;
        }
        let standing = standing.ask(ids, now);
        save(tx.as_mut(), account.id, factor, standing).await?;
        ask_owner(tx.as_mut(), account.id, factor, &standing);
        asked += 1;
    }
    if asked > 0 {
        tx.audit(changed(account.id, "factor_confirmation_requested").detail("factors", asked));
        tx.commit().await?;
    }
    Ok(())
}
