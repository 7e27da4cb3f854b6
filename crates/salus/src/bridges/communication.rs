use async_trait::async_trait;
use communication::{CareTeam, Recipient, Recipients, SignInLinks};
use identity::{confirmation, credentials, registration};
use kernel::{AccountId, Actor, EmailAddress, PatientId, ProviderId, SubscriptionId, Uuid};
use ports::Result;

use super::{Bridges, absent_or, crossing};

#[async_trait]
impl CareTeam for Bridges {
    async fn includes(&self, patient: PatientId, provider: ProviderId) -> Result<bool> {
        if !self.panel.treats(provider, patient).await? {
            return Ok(false);
        }
        // Whoever works here no more is written to by nobody.
        identity::directory::practises(&self.identity, provider)
            .await
            .map_err(|error| crossing("whether a provider practises", error))
    }

    async fn subscribed(&self, patient: PatientId, subscription: SubscriptionId) -> Result<bool> {
        let mut tx = self.subscriptions.begin(&Actor::system("communication.subscribed")).await?;
        let found = tx.find(subscription).await?;
        Ok(found.is_some_and(|found| found.patient == patient))
    }
}

#[async_trait]
impl Recipients for Bridges {
    async fn recipient(&self, account: AccountId) -> Result<Option<Recipient>> {
        let contact = identity::directory::contact(&self.identity, account).await;
        Ok(absent_or("a contact", contact)?.map(|contact| Recipient {
            email: contact.email,
            first_name: contact.name.map(|name| name.given),
            zone: contact.time_zone.unwrap_or(chrono_tz::Tz::UTC),
            locale: "en-US".to_owned(),
        }))
    }
}

impl Bridges {
    fn link(&self, path: &str, token: &str) -> String {
        format!("{}{path}?token={token}", self.identity.policy.issuer)
    }
}

#[async_trait]
impl SignInLinks for Bridges {
    async fn verification_link(&self, account: AccountId) -> Result<Option<String>> {
        let token = registration::verification_link_token(&self.identity, account).await;
        Ok(absent_or("a verification token", token)?
            .flatten()
            .map(|token| self.link("/verify-email", &token)))
    }

    async fn reset_link(&self, account: AccountId) -> Result<Option<String>> {
        let token = registration::reset_link_token(&self.identity, account).await;
        Ok(absent_or("a reset token", token)?
            .flatten()
            .map(|token| self.link("/reset-password", &token)))
    }

    async fn new_address(&self, account: AccountId) -> Result<Option<(EmailAddress, String)>> {
        let change = credentials::email_change_link_token(&self.identity, account).await;
        Ok(absent_or("a new address", change)?
            .flatten()
            .map(|(email, token)| (email, self.link("/confirm-email", &token))))
    }
    async fn factor_link(&self, account: AccountId, factor: Uuid) -> Result<Option<String>> {
        let token = confirmation::link_token(&self.identity, account, factor).await;
        Ok(absent_or("a factor's token", token)?
            .flatten()
            .map(|token| self.link("/confirm-factor", &token)))
    }

    async fn previous_address(&self, account: AccountId) -> Result<Option<EmailAddress>> {
        let left = credentials::previous_address(&self.identity, account).await;
        Ok(absent_or("a previous address", left)?.flatten())
    }
}
