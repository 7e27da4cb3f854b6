//! Which plans open a video visit, and who needs none.

use care::{ConsultationStatus, VisitCover, VisitCovers};
use kernel::DomainError as _;

use super::*;

#[async_trait]
impl VisitCovers for Neighbours {
    async fn terms(&self, _: CategoryId) -> ports::Result<Option<CategoryTerms>> {
        Ok(Some(*self.terms.lock().unwrap()))
    }

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
    consultations::cancel(env, store, &patient(ADA), second.id).await.unwrap();
    book(4, None).await.unwrap();
    let elsewhere = book(5, Some(CategoryId(Uuid::from_u128(0xcee)))).await;
    assert!(matches!(elsewhere, Err(CareError::FeatureNotIncluded(_))), "{elsewhere:?}");
}

#[tokio::test]
async fn a_category_that_is_not_there_is_not_booked_in() {
    let setting = setting().await;
    setting.neighbours.covers.lock().unwrap().insert(ADA, VisitCover::NoSuchCategory);
    let (env, store) = (&setting.database.env, setting.store());
    let starts_at = env.now() + TimeDelta::minutes(15);
    let booking = Booking { provider: IN_MASSACHUSETTS, category: Some(CATEGORY), starts_at };
    let key = key("care.book_consultation", "nowhere");
    let refused =
        consultations::book(env, store, &setting.sources, &patient(ADA), booking, &key).await;
    assert_eq!(refused.unwrap_err().fields()[0].path, "category_id");
}

#[tokio::test]
async fn of_many_slots_asked_for_at_once_a_patient_gets_three() {
    let setting = Arc::new(setting().await);
    let asked: Vec<_> = (1..=8)
        .map(|slot: i32| {
            let setting = Arc::clone(&setting);
            tokio::spawn(async move {
                let (env, store) = (&setting.database.env, setting.store());
                let starts_at = env.now() + TimeDelta::minutes(15) * slot;
                let booking = Booking { provider: IN_MASSACHUSETTS, category: None, starts_at };
                let key = key("care.book_consultation", &format!("at-once-{slot}"));
                consultations::book(env, store, &setting.sources, &patient(ADA), booking, &key)
                    .await
            })
        })
        .collect();
    let mut booked = 0;
    for each in asked {
        match each.await.unwrap() {
            Ok(_) => booked += 1,
            Err(refused) => assert_eq!(refused.code(), "care.too_many_bookings"),
        }
    }
    assert_eq!(booked, 3);
    assert_eq!(setting.count("SELECT count(*) FROM care_consultations").await, 3);
}

#[tokio::test]
async fn a_canceled_visit_frees_its_slot_and_opens_no_chart() {
    let setting = setting().await;
    let (env, store) = (&setting.database.env, setting.store());
    let starts_at = env.now() + TimeDelta::minutes(15);
    let book = async |who: PatientId, word: &str| {
        let booking = Booking { provider: ALSO_THERE, category: None, starts_at };
        let key = key("care.book_consultation", word);
        consultations::book(env, store, &setting.sources, &patient(who), booking, &key).await
    };
    let booked = book(ADA, "first").await.unwrap();
    let treats = async || setting.database.pg.treats(ALSO_THERE, ADA).await.unwrap();
    assert!(treats().await);
    for stranger in [patient(EVE), provider(IN_MASSACHUSETTS)] {
        let denied = consultations::cancel(env, store, &stranger, booked.id).await;
        assert!(matches!(denied, Err(CareError::NotFound(_))), "{denied:?}");
    }
    for _ in 0..2 {
        let canceled = consultations::cancel(env, store, &patient(ADA), booked.id).await.unwrap();
        assert_eq!(canceled.status, ConsultationStatus::Canceled);
    }
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'consultation_changed'";
    assert_eq!(setting.count(told).await, 2, "booked and canceled, each once");
    assert!(!treats().await);
    let next = book(EVE, "next").await.unwrap();
    consultations::cancel(env, store, &provider(ALSO_THERE), next.id).await.unwrap();
    let room = CreateVideoRoom { consultation: next.id };
    let rooms = rooms::Counting::default();
    consultations::create_video_room(env, store, &rooms, room).await.unwrap();
    assert_eq!(rooms.made(), 0, "no room is made for a meeting that is off");
}
