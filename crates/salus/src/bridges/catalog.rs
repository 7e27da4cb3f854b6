use async_trait::async_trait;
use catalog::{Audience, Standing};
use kernel::Actor;
use ports::Result;
use subscriptions::Tier;

use super::Bridges;

#[async_trait]
impl Audience for Bridges {
    /// Only patients live somewhere and subscribe.
    async fn standing(&self, actor: &Actor) -> Result<Standing> {
        let Some(patient) = actor.as_patient() else { return Ok(Standing::default()) };
        let profile = self.profile("catalog.rollout", patient).await?;
        let mut tx = self.subscriptions.begin(&Actor::system("catalog.rollout")).await?;
        let held = tx.subscriptions_of(patient).await?;
        let in_force = || held.iter().filter(|held| held.entitles(self.env.now()));
        Ok(Standing {
            state: profile.map(|profile| profile.address.state),
            plans: in_force().map(|held| held.plan).collect(),
            tiers: in_force().map(|held| (held.category, bought(held.tier))).collect(),
            categories: in_force().map(|held| held.category).collect(),
        })
    }
}

fn bought(tier: Tier) -> catalog::Tier {
    match tier {
        Tier::Basic => catalog::Tier::Basic,
        Tier::Standard => catalog::Tier::Standard,
        Tier::Premium => catalog::Tier::Premium,
    }
}
