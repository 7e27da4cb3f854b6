//! Flags as they are asked for: evaluated from memory, for the one who asks.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use kernel::{AccountId, Actor, ActorKind, FeatureCode};
use ports::{Hearing, Kept};

use crate::{
    CatalogError, CatalogStore, FeatureFlag,
    flag::{Standing, Subject},
};

/// What other contexts know of an account.
#[async_trait]
pub trait Audience: Send + Sync {
    async fn standing(&self, actor: &Actor) -> ports::Result<Standing>;
}

/// An edit made by another process is told of; should that be lost, it is seen
/// within this time. One of this process is seen at once.
const FLAGS_LIVE: Duration = Duration::from_secs(3);
/// How long what is known of an account stands, as when a plan is bought.
const STANDING_LIVES: Duration = Duration::from_secs(10);

/// The flags of this installation.
#[derive(Clone)]
pub struct Rollout {
    store: Arc<dyn CatalogStore>,
    audience: Arc<dyn Audience>,
    flags: Kept<(), Arc<Vec<FeatureFlag>>>,
    standings: Kept<AccountId, Standing>,
}

impl Rollout {
    pub fn new(
        store: Arc<dyn CatalogStore>,
        audience: Arc<dyn Audience>,
        hearing: Hearing,
    ) -> Self {
        Self {
            store,
            audience,
            flags: Kept::new(2, FLAGS_LIVE, hearing),
            standings: Kept::new(100_000, STANDING_LIVES, Hearing::default()),
        }
    }

    /// The keys of the flags that are on for the one who asks, by name.
    pub async fn own(&self, actor: &Actor) -> Result<Vec<FeatureCode>, CatalogError> {
        let flags = self.flags().await?;
        let subject = self.subject(actor, &flags).await?;
        let on = flags.iter().filter(|flag| flag.is_on(&subject));
        Ok(on.map(|flag| flag.key.clone()).collect())
    }

    /// Whether a flag is on for the one who asks; one that does not exist is
    /// on for nobody.
    pub async fn is_on(&self, actor: &Actor, key: &FeatureCode) -> Result<bool, CatalogError> {
        let flags = self.flags().await?;
        let Some(flag) = flags.iter().find(|flag| flag.key == *key) else { return Ok(false) };
        let subject = self.subject(actor, std::slice::from_ref(flag)).await?;
        Ok(flag.is_on(&subject))
    }

    /// Lets the next question read the flags anew, as after an edit.
    pub fn forget(&self) {
        self.flags.forget();
    }

    async fn flags(&self) -> Result<Arc<Vec<FeatureFlag>>, CatalogError> {
        let load = async {
            let mut tx = self.store.begin(&Actor::system("catalog.rollout")).await?;
            tx.flags().await.map(Arc::new)
        };
        Ok(self.flags.get((), load).await?)
    }

    async fn subject(&self, actor: &Actor, flags: &[FeatureFlag]) -> Result<Subject, CatalogError> {
        let ActorKind::Account { account, roles, .. } = &actor.kind else {
            return Err(CatalogError::AccountRequired);
        };
        let standing = if flags.iter().any(FeatureFlag::reads_standing) {
            let load = self.audience.standing(actor);
            self.standings.get(*account, load).await?
        } else {
            Standing::default()
        };
        Ok(Subject { account: *account, roles: (**roles).clone(), standing })
    }
}
