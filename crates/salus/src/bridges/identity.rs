use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use communication::Mailer;
use identity::services::MailReach;
use kernel::EmailAddress;
use moka::future::Cache;
use ports::{PortError, Result};

/// Asks the mail server whom it can reach, and remembers the answer for a while.
pub struct MailServerReach {
    mailer: Arc<dyn Mailer>,
    international: Cache<(), bool>,
}

impl MailServerReach {
    pub fn new(mailer: Arc<dyn Mailer>) -> Self {
        let life = Duration::from_secs(300);
        Self { mailer, international: Cache::builder().max_capacity(1).time_to_live(life).build() }
    }
}

#[async_trait]
impl MailReach for MailServerReach {
    async fn reaches(&self, email: &EmailAddress) -> Result<bool> {
        if email.as_str().is_ascii() {
            return Ok(true);
        }
        let asked = self.international.try_get_with((), self.mailer.takes_international()).await;
        Ok(asked.unwrap_or_else(|error: Arc<PortError>| {
            // The mail waits for the server, and its refusal would be logged.
            tracing::warn!(%error, "the mail server did not say whom it reaches");
            true
        }))
    }
}
