//! Which plans open a video visit, and who needs none.

use care::{Categories, ConsultationStatus, VisitCover, VisitCovers};
use kernel::{DomainError as _, ErrorKind};

use super::*;

#[async_trait]
impl Categories for Neighbours {
    async fn terms(&self, category: CategoryId) -> ports::Result<Option<CategoryTerms>> {
        Ok((category == CATEGORY).then(|| *self.terms.lock().unwrap()))
    }
}

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
        assert!(matches!(denied, Err(CareError::Port(PortError::NotFound { .. }))), "{denied:?}");
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

#[tokio::test]
async fn a_provider_who_says_when_they_work_is_booked_within_it_alone() {
    let setting = setting().await;
    let (env, store) = (&setting.database.env, setting.store());
    let opens = env.now() + TimeDelta::hours(2);
    let shift = opens..opens + TimeDelta::minutes(40);
    setting.neighbours.hours.lock().unwrap().insert(IN_MASSACHUSETTS, shift);
    let book = async |of: ProviderId, minutes: i64| {
        let starts_at = opens + TimeDelta::minutes(minutes);
        let booking = Booking { provider: of, category: None, starts_at };
        let key = key("care.book_consultation", &format!("{of}/{minutes}"));
        consultations::book(env, store, &setting.sources, &patient(ADA), booking, &key).await
    };
    // The third slot begins in the shift and ends after it.
    for minutes in [-15, 30, 45] {
        let refused = book(IN_MASSACHUSETTS, minutes).await.unwrap_err();
        let fields: Vec<_> = refused.fields().iter().map(|it| (&*it.path, &*it.code)).collect();
        assert_eq!(fields, [("starts_at", "outside_working_hours")], "{minutes}");
    }
    assert_eq!(setting.count("SELECT count(*) FROM care_consultations").await, 0);
    book(IN_MASSACHUSETTS, 0).await.unwrap();
    let last = book(IN_MASSACHUSETTS, 15).await.unwrap();
    book(ALSO_THERE, 45).await.unwrap();
    // Hours that changed since do not take back what was booked.
    setting.neighbours.hours.lock().unwrap().insert(IN_MASSACHUSETTS, opens..opens);
    assert_eq!(book(IN_MASSACHUSETTS, 15).await.unwrap().id, last.id);
}

#[tokio::test]
async fn a_visit_that_lies_ahead_is_not_completed() {
    let setting = setting().await;
    let (env, store) = (&setting.database.env, setting.store());
    let starts_at = env.now() + TimeDelta::hours(1);
    let booking = Booking { provider: IN_MASSACHUSETTS, category: None, starts_at };
    let key = key("care.book_consultation", "ahead");
    let booked = consultations::book(env, store, &setting.sources, &patient(ADA), booking, &key)
        .await
        .unwrap();
    let doctor = provider(IN_MASSACHUSETTS);
    let write = async |complete| {
        consultations::write_notes(env, store, &doctor, booked.id, "Seen.", complete).await
    };
    setting.database.clock.advance(TimeDelta::minutes(44));
    let early = write(true).await.unwrap_err();
    assert_eq!((early.code(), early.kind()), ("care.consultation_ahead", ErrorKind::Conflict));
    let kept = consultations::get(store, &doctor, booked.id).await.unwrap();
    assert_eq!((kept.status, kept.notes), (ConsultationStatus::Scheduled, None));
    assert_eq!(write(false).await.unwrap().status, ConsultationStatus::Scheduled);
    setting.database.clock.advance(TimeDelta::minutes(1));
    assert_eq!(write(true).await.unwrap().status, ConsultationStatus::Completed);
}

#[tokio::test]
async fn one_s_own_visits_are_listed_in_pages_and_audited_by_patient() {
    let setting = setting().await;
    let (env, store) = (&setting.database.env, setting.store());
    let mut booked = Vec::new();
    for (who, of, quarters) in [
        (ADA, IN_MASSACHUSETTS, 1),
        (EVE, IN_MASSACHUSETTS, 2),
        (ADA, ALSO_THERE, 3),
        (ADA, IN_MASSACHUSETTS, 4),
    ] {
        let starts_at = env.now() + TimeDelta::minutes(15) * quarters;
        let booking = Booking { provider: of, category: None, starts_at };
        let key = key("care.book_consultation", &format!("{quarters}"));
        let actor = patient(who);
        let one = consultations::book(env, store, &setting.sources, &actor, booking, &key).await;
        booked.push(one.unwrap().id);
    }
    consultations::cancel(env, store, &patient(ADA), booked[0]).await.unwrap();
    let list = async |actor: &Actor, status: Option<ConsultationStatus>| {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = PageRequest::new(Some(2), cursor);
            let found = consultations::list(store, actor, status, &page).await.unwrap();
            assert!(found.items.len() <= 2);
            seen.extend(found.items.into_iter().map(|one| one.id));
            cursor = found.next;
            if cursor.is_none() {
                break seen;
            }
        }
    };
    let doctor = provider(IN_MASSACHUSETTS);
    assert_eq!(list(&patient(ADA), None).await, [booked[3], booked[2], booked[0]]);
    assert_eq!(list(&patient(EVE), None).await, [booked[1]]);
    assert_eq!(list(&doctor, None).await, [booked[3], booked[1], booked[0]]);
    let (canceled, scheduled) = (ConsultationStatus::Canceled, ConsultationStatus::Scheduled);
    assert_eq!(list(&doctor, Some(canceled)).await, [booked[0]]);
    assert_eq!(list(&doctor, Some(scheduled)).await, [booked[3], booked[1]]);
    assert_eq!(list(&provider(IN_TEXAS), None).await, []);

    let read = |account: Uuid, of: PatientId| {
        format!(
            "SELECT count(*) FROM audit_entries WHERE entity = 'consultation' \
             AND action = 'search' AND entity_id = '{account}' AND patient_id = '{of}'"
        )
    };
    // All of the doctor's four pages show Ada, and two show Eve.
    assert_eq!(setting.count(&read(IN_MASSACHUSETTS.uuid(), ADA)).await, 4);
    assert_eq!(setting.count(&read(IN_MASSACHUSETTS.uuid(), EVE)).await, 2);
    assert_eq!(setting.count(&read(ADA.uuid(), ADA)).await, 2);
    assert_eq!(setting.count(&read(EVE.uuid(), EVE)).await, 1);

    let powerless = Actor { permissions: Arc::default(), ..doctor };
    let page = PageRequest::default();
    let refused = consultations::list(store, &powerless, None, &page).await;
    assert!(matches!(refused, Err(CareError::Forbidden(_))), "{refused:?}");
    let forged = PageRequest::new(None, Some("1' OR 1".into()));
    let refused = consultations::list(store, &patient(ADA), None, &forged).await;
    assert!(matches!(refused, Err(CareError::Port(PortError::Invalid(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_slot_is_booked_once_and_its_room_is_made_once() {
    let setting = setting().await;
    let (env, store) = (&setting.database.env, setting.store());
    let starts_at = env.now() + TimeDelta::minutes(15);
    let book = |who: PatientId, of: ProviderId, text: &'static str| {
        let booking = Booking { provider: of, category: Some(CATEGORY), starts_at };
        let key = key("care.book_consultation", text);
        let actor = patient(who);
        let sources = &setting.sources;
        async move { consultations::book(env, store, sources, &actor, booking, &key).await }
    };
    let booked = book(ADA, IN_MASSACHUSETTS, "k1").await.unwrap();
    assert_eq!(book(ADA, IN_MASSACHUSETTS, "k1").await.unwrap().id, booked.id);
    let taken = book(EVE, IN_MASSACHUSETTS, "k2").await;
    assert!(matches!(taken, Err(CareError::SlotTaken)), "{taken:?}");
    let unlicensed = book(EVE, IN_TEXAS, "k3").await;
    assert!(matches!(unlicensed, Err(CareError::Invalid(_))), "{unlicensed:?}");

    let rooms = rooms::Counting::default();
    let job = CreateVideoRoom { consultation: booked.id };
    for _ in 0..2 {
        consultations::create_video_room(env, store, &rooms, job.clone()).await.unwrap();
    }
    assert_eq!(rooms.made(), 1);

    let stranger = consultations::join(env, store, &rooms, &patient(EVE), booked.id).await;
    assert!(matches!(stranger, Err(CareError::Port(PortError::NotFound { .. }))), "{stranger:?}");
    let admitted = consultations::join(env, store, &rooms, &patient(ADA), booked.id).await.unwrap();
    assert_eq!(admitted.expires_at, booked.closes_at());
    assert!(!admitted.token.token.contains(&ADA.to_string()));

    let credentials = care::CallbackCredentials::default();
    for _ in 0..2 {
        let body = admitted.session.as_bytes();
        consultations::on_video_callback(env, store, &rooms, &credentials, body).await.unwrap();
    }
    let running = "SELECT count(*) FROM outbox_events WHERE kind = 'consultation_changed' \
                   AND payload->>'status' = 'in_progress'";
    assert_eq!(setting.count(running).await, 1);

    let doctor = provider(IN_MASSACHUSETTS);
    let early =
        consultations::write_notes(env, store, &patient(ADA), booked.id, "Mine.", true).await;
    assert!(matches!(early, Err(CareError::Forbidden(_))), "{early:?}");
    consultations::write_notes(env, store, &doctor, booked.id, "Draft.", false).await.unwrap();
    let hidden = consultations::notes(store, &patient(ADA), booked.id).await.unwrap();
    assert_eq!(hidden.notes, None);
    consultations::write_notes(env, store, &doctor, booked.id, "Seen and advised.", true)
        .await
        .unwrap();
    let shown = consultations::notes(store, &patient(ADA), booked.id).await.unwrap();
    assert_eq!(shown.notes.as_deref(), Some("Seen and advised."));
    let closed = consultations::join(env, store, &rooms, &patient(ADA), booked.id).await;
    assert!(matches!(closed, Err(CareError::ConsultationClosed)), "{closed:?}");
    // The record tells of these times, and not of those of the slot.
    let now = env.now();
    assert_eq!((shown.began_at, shown.ended_at), (Some(now), Some(now)));
    assert!(now < shown.starts_at);
}
