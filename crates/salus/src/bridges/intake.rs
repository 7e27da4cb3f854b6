use async_trait::async_trait;
use intake::{Facts, store::Surroundings};
use kernel::{Actor, CategoryId, PatientId};
use ports::Result;

use super::{Bridges, absent_or};

#[async_trait]
impl Surroundings for Bridges {
    async fn category_is_active(&self, category: CategoryId) -> Result<bool> {
        let actor = Actor::system("intake.category");
        let found = catalog::category(self.catalog.as_ref(), &actor, category).await;
        Ok(absent_or("a category", found)?.is_some_and(|category| category.active))
    }

    async fn facts(&self, patient: PatientId) -> Result<Facts> {
        let Some(profile) = self.profile("intake.facts", patient).await? else {
            return Ok(Facts::default());
        };
        let today = self.env.now().with_timezone(&profile.time_zone).date_naive();
        let age = today.years_since(profile.birth_date).and_then(|years| u16::try_from(years).ok());
        Ok(Facts { sex: Some(profile.sex), age })
    }
}
