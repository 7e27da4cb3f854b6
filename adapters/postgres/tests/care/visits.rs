//! Which plans open a video visit, and who needs none.

use care::{VisitCover, VisitCovers};
use kernel::DomainError as _;

use super::*;

#[async_trait]
impl VisitCovers for Neighbours {
    /// Whoever is not spoken of has a plan with video visits.
    async fn video_visits(
        &self,
        patient: PatientId,
        _: Option<CategoryId>,
    ) -> ports::Result<VisitCover> {
        let covers = self.covers.lock().unwrap();
        Ok(covers.get(&patient).copied().unwrap_or(VisitCover::Included))
    }
}

#[tokio::test]
async fn a_visit_takes_a_plan_that_has_it_unless_a_decision_waits_for_it() {
    let setting = setting().await;
    let (env, store) = (&setting.database.env, setting.store());
    let says = |cover| setting.neighbours.covers.lock().unwrap().insert(ADA, cover);
    let book = async |slot: i32, category: Option<CategoryId>| {
        let starts_at = env.now() + TimeDelta::minutes(15) * slot;
        let booking = Booking { provider: IN_MASSACHUSETTS, category, starts_at };
        let key = key("care.book_consultation", &format!("slot-{slot}"));
        consultations::book(env, store, &setting.sources, &patient(ADA), booking, &key).await
    };
    says(VisitCover::NotIncluded);
    for category in [Some(CATEGORY), None] {
        let refused = book(1, category).await.unwrap_err();
        assert!(matches!(refused, CareError::FeatureNotIncluded("video_visits")), "{refused:?}");
        assert_eq!(refused.code(), "subscriptions.feature_not_included");
        assert!(refused.to_string().contains("upgrade-prompt"), "{refused}");
    }
    assert_eq!(setting.count("SELECT count(*) FROM care_consultations").await, 0);
    says(VisitCover::NotSold);
    book(1, Some(CATEGORY)).await.unwrap();
    says(VisitCover::Included);
    let second = book(2, Some(CATEGORY)).await.unwrap();
    // A plan that ended since does not take back what was booked.
    says(VisitCover::NotIncluded);
    assert_eq!(book(2, Some(CATEGORY)).await.unwrap().id, second.id);

    // Who waits for a decision in a category is seen there, and nowhere else.
    setting.assess(ADA, &["review"]).await;
    book(3, Some(CATEGORY)).await.unwrap();
    book(4, None).await.unwrap();
    let elsewhere = book(5, Some(CategoryId(Uuid::from_u128(0xcee)))).await;
    assert!(matches!(elsewhere, Err(CareError::FeatureNotIncluded(_))), "{elsewhere:?}");
}
