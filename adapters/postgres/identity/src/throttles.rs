//! Failed sign-ins, and the networks that addresses are known from. They are written at
//! each attempt, which has its own audit entry.

use std::net::IpAddr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use identity::{Throttle, Throttles, store::Throttling};
use kernel::EmailAddress;
use ports::Result;
use sea_orm::{ConnectionTrait as _, DbBackend, FromQueryResult, Statement, Value};

use crate::{Tx, accounts::email_index};
use pg::db;

struct Keys {
    own: Vec<u8>,
    strangers: Option<Vec<u8>>,
    email: Vec<u8>,
    network: Vec<u8>,
}

#[derive(FromQueryResult)]
struct Failures {
    failures: i32,
    last_failure_at: Option<DateTime<Utc>>,
}

fn statement(sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

impl Tx {
    /// By what an attempt is counted. An address that nobody has is looked up
    /// like any other.
    async fn throttle_keys(&self, email: &EmailAddress, network: Option<IpAddr>) -> Result<Keys> {
        let index = |value: &str| -> Result<Vec<u8>> {
            Ok(self.sealer().blind_index("identity.sign_in", value)?.0.to_vec())
        };
        let network = network.map(kernel::actor::network);
        let network = network.map_or_else(|| "unknown".to_owned(), |known| known.to_string());
        let own = index(&format!("{email}|{network}"))?;
        let (strangers, network) = (index(email.as_str())?, index(&network)?);
        let email = email_index(self, email)?;
        let known = statement(
            "SELECT 1 AS known FROM identity_known_networks \
             WHERE email_index = $1 AND network_index = $2",
            [email.clone().into(), network.clone().into()],
        );
        let known = self.read().query_one_raw(known).await;
        let known = known.map_err(|error| db("finding a known network", error))?;
        let strangers = known.is_none().then_some(strangers);
        Ok(Keys { own, strangers, email, network })
    }

    async fn throttle(&mut self, key: Vec<u8>, hold: bool) -> Result<Throttle> {
        let mut sql = "SELECT failures, last_failure_at FROM identity_sign_in_throttles \
                       WHERE key = $1"
            .to_owned();
        if hold {
            // The row has to be there before it can be locked.
            self.execute(
                "noting an address",
                "INSERT INTO identity_sign_in_throttles (key, failures) VALUES ($1, 0) \
                 ON CONFLICT DO NOTHING",
                [key.clone().into()],
            )
            .await?;
            sql.push_str(" FOR UPDATE");
        }
        let found = Failures::find_by_statement(statement(&sql, [key.into()]));
        let found = found.one(self.read()).await;
        let found = found.map_err(|error| db("reading an address's failures", error))?;
        Ok(found.map_or_else(Throttle::default, |found| Throttle {
            failures: found.failures.unsigned_abs(),
            last_failure_at: found.last_failure_at,
        }))
    }

    async fn throttles_of(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
        hold: bool,
    ) -> Result<Throttles> {
        let keys = self.throttle_keys(email, network).await?;
        let own = self.throttle(keys.own, hold).await?;
        let strangers = match keys.strangers {
            Some(key) => Some(self.throttle(key, hold).await?),
            None => None,
        };
        Ok(Throttles { own, strangers })
    }
}

#[async_trait]
impl Throttling for Tx {
    async fn throttles(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
    ) -> Result<Throttles> {
        self.throttles_of(email, network, false).await
    }

    async fn lock_throttles(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
    ) -> Result<Throttles> {
        self.throttles_of(email, network, true).await
    }

    async fn save_throttles(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
        throttles: Throttles,
    ) -> Result<()> {
        let keys = self.throttle_keys(email, network).await?;
        let strangers = keys.strangers.zip(throttles.strangers);
        for (key, throttle) in std::iter::once((keys.own, throttles.own)).chain(strangers) {
            let failures = i32::try_from(throttle.failures).unwrap_or(i32::MAX);
            self.execute(
                "saving an address's failures",
                "INSERT INTO identity_sign_in_throttles (key, failures, last_failure_at) \
                 VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE \
                 SET failures = excluded.failures, last_failure_at = excluded.last_failure_at",
                [key.into(), failures.into(), throttle.last_failure_at.into()],
            )
            .await?;
        }
        Ok(())
    }

    async fn know_network(
        &mut self,
        email: &EmailAddress,
        network: Option<IpAddr>,
        at: DateTime<Utc>,
    ) -> Result<()> {
        let keys = self.throttle_keys(email, network).await?;
        self.execute(
            "forgetting the failures of a network",
            "DELETE FROM identity_sign_in_throttles WHERE key = $1",
            [keys.own.into()],
        )
        .await?;
        self.execute(
            "remembering a network",
            "INSERT INTO identity_known_networks (email_index, network_index, seen_at) \
             VALUES ($1, $2, $3) ON CONFLICT (email_index, network_index) DO UPDATE \
             SET seen_at = excluded.seen_at",
            [keys.email.into(), keys.network.into(), at.into()],
        )
        .await?;
        Ok(())
    }

    async fn move_networks(&mut self, from: &EmailAddress, to: &EmailAddress) -> Result<()> {
        let (from, to) = (email_index(self, from)?, email_index(self, to)?);
        self.execute(
            "keeping an account's networks",
            "INSERT INTO identity_known_networks (email_index, network_index, seen_at) \
             SELECT $2, network_index, seen_at FROM identity_known_networks \
             WHERE email_index = $1 ON CONFLICT DO NOTHING",
            [from.clone().into(), to.into()],
        )
        .await?;
        self.execute(
            "forgetting an address's networks",
            "DELETE FROM identity_known_networks WHERE email_index = $1",
            [from.into()],
        )
        .await?;
        Ok(())
    }

    async fn purge_networks(&mut self, before: DateTime<Utc>) -> Result<u64> {
        let purged = self
            .execute(
                "forgetting old networks",
                "DELETE FROM identity_known_networks WHERE (email_index, network_index) IN ( \
                 SELECT email_index, network_index FROM identity_known_networks \
                 WHERE seen_at < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED)",
                [before.into()],
            )
            .await?;
        Ok(purged.rows_affected())
    }

    async fn purge_throttles(&mut self, before: DateTime<Utc>) -> Result<u64> {
        // Rows that somebody else holds are left to the next purge.
        let purged = self
            .execute(
                "forgetting old failures",
                "DELETE FROM identity_sign_in_throttles WHERE key IN ( \
                 SELECT key FROM identity_sign_in_throttles WHERE last_failure_at < $1 \
                 LIMIT 1000 FOR UPDATE SKIP LOCKED)",
                [before.into()],
            )
            .await?;
        Ok(purged.rows_affected())
    }
}
