//! What a provider sees at a glance, and the panel.

use care::portal::{self, Dashboard, Inbox, PanelQuery, ReviewCounts, TaskCounts};

use super::*;

/// So many unread messages for everybody.
struct Unread(u64);

#[async_trait]
impl Inbox for Unread {
    async fn unread(&self, _: ProviderId) -> ports::Result<u64> {
        Ok(self.0)
    }
}

async fn glance(setting: &Setting, who: ProviderId) -> Dashboard {
    let (env, actor) = (&setting.database.env, provider(who));
    let (store, sources) = (setting.store(), &setting.sources);
    portal::dashboard(env, store, sources, &Unread(3), &actor).await.unwrap()
}

async fn book(setting: &Setting, who: PatientId, of: ProviderId, starts_at: DateTime<Utc>) {
    let booking = Booking { provider: of, category: Some(CATEGORY), starts_at };
    let key = key("care.book_consultation", &format!("{who}{starts_at}"));
    let (env, actor) = (&setting.database.env, patient(who));
    let sources = &setting.sources;
    consultations::book(env, setting.store(), sources, &actor, booking, &key).await.unwrap();
}

async fn panel(setting: &Setting, who: ProviderId, query: PanelQuery) -> Vec<PatientId> {
    let (env, actor) = (&setting.database.env, provider(who));
    let page = portal::panel(env, setting.store(), &actor, &query).await.unwrap();
    page.items.into_iter().map(|found| found.patient).collect()
}

#[tokio::test]
async fn the_dashboard_counts_what_is_within_reach_and_nothing_else() {
    let setting = setting().await;
    assert_eq!(glance(&setting, ALSO_THERE).await.reviews, ReviewCounts::default());
    let held = setting.assess(ADA, &["review"]).await;
    let asked = setting.assess(setting.newcomer(), &["review"]).await;
    setting.assess(EVE, &["review"]).await;
    setting.assess(setting.newcomer(), &["danger"]).await;
    setting.claim(held, ALSO_THERE).await.unwrap();
    setting.claim(asked, ALSO_THERE).await.unwrap();
    let (env, doctor) = (&setting.database.env, provider(ALSO_THERE));
    let (store, sources) = (setting.store(), &setting.sources);
    care::information::request_information(env, store, sources, &doctor, asked, "When?")
        .await
        .unwrap();
    // The tests' clock stands at noon UTC, which is 7 in the morning in Boston.
    for minutes in [15, 60 * 16, 60 * 17] {
        book(&setting, ADA, ALSO_THERE, env.now() + TimeDelta::minutes(minutes)).await;
    }
    let tomorrow = env.now() + TimeDelta::days(1);
    book(&setting, setting.newcomer(), ALSO_THERE, tomorrow).await;
    book(&setting, EVE, IN_MASSACHUSETTS, env.now() + TimeDelta::minutes(15)).await;
    let seen = glance(&setting, ALSO_THERE).await;
    let reviews = ReviewCounts {
        waiting: 2,
        waiting_urgent: 1,
        held: 1,
        waiting_on_patients: 1,
        ..ReviewCounts::default()
    };
    assert_eq!(seen.reviews, reviews);
    assert_eq!((seen.unread_messages, seen.licensed_in), (3, vec![UsState::Ma]));
    let starts: Vec<_> = seen.consultations.iter().map(|one| one.starts_at - env.now()).collect();
    assert_eq!(starts, [15, 60 * 16].map(TimeDelta::minutes), "until midnight in Boston");
    let other = glance(&setting, IN_MASSACHUSETTS).await;
    assert_eq!((other.reviews.waiting, other.reviews.held), (2, 0), "the rest is a colleague's");
    assert_eq!(other.consultations.len(), 1);
    // The one task is with either of the two.
    let urgent = |counts: TaskCounts| counts.urgent;
    assert_eq!(urgent(seen.tasks) + urgent(other.tasks), 1);
    let far = glance(&setting, IN_TEXAS).await;
    assert_eq!((far.reviews, far.tasks), (ReviewCounts::default(), TaskCounts::default()));

    // Much later everything is late, and the claim has run out.
    setting.database.clock.advance(TimeDelta::days(4));
    let late = glance(&setting, ALSO_THERE).await;
    let reviews = ReviewCounts {
        waiting: 3,
        waiting_urgent: 1,
        waiting_overdue: 3,
        waiting_on_patients: 1,
        ..ReviewCounts::default()
    };
    assert_eq!(late.reviews, reviews);
    setting.claim(held, ALSO_THERE).await.unwrap();
    let late = glance(&setting, ALSO_THERE).await;
    assert_eq!((late.reviews.waiting, late.reviews.held_overdue), (2, 1));
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'provider_dashboard'";
    assert_eq!(setting.count(audited).await, 6);
    let (env, actor) = (&setting.database.env, patient(ADA));
    let refused = portal::dashboard(env, store, sources, &Unread(0), &actor).await;
    assert!(matches!(refused, Err(CareError::Forbidden(_))), "{refused:?}");
}

#[tokio::test]
async fn the_panel_is_one_s_own_with_plans_and_contacts_and_goes_in_pages() {
    let setting = setting().await;
    let id = setting.assess(ADA, &["review"]).await;
    assert_eq!(panel(&setting, ALSO_THERE, PanelQuery::default()).await, []);
    setting.claim(id, ALSO_THERE).await.unwrap();
    let (env, actor) = (&setting.database.env, provider(ALSO_THERE));
    let first = portal::panel(env, setting.store(), &actor, &PanelQuery::default()).await.unwrap();
    assert_eq!((first.items[0].last_contact, first.items[0].plans.len()), (None, 0));
    setting.database.clock.advance(TimeDelta::minutes(5));
    let plan = setting.approve(id, ALSO_THERE, None, "k1").await.unwrap();
    let decided_at = env.now();
    setting.database.clock.advance(TimeDelta::minutes(5));
    let soon = env.now() + TimeDelta::minutes(20);
    book(&setting, ADA, ALSO_THERE, soon).await;
    book(&setting, EVE, ALSO_THERE, soon + TimeDelta::minutes(15)).await;
    let both = portal::panel(env, setting.store(), &actor, &PanelQuery::default()).await.unwrap();
    let ada = both.items.iter().find(|found| found.patient == ADA).unwrap();
    assert_eq!((ada.last_contact, ada.next_consultation), (Some(decided_at), Some(soon)));
    assert_eq!(ada.plans.iter().map(|one| one.id).collect::<Vec<_>>(), [plan.id]);
    assert_eq!(ada.plans[0].category, CATEGORY);

    let mut sorted = [ADA, EVE];
    sorted.sort();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = PageRequest::new(Some(1), cursor);
        let query = PanelQuery { page, ..PanelQuery::default() };
        let found = portal::panel(env, setting.store(), &actor, &query).await.unwrap();
        seen.extend(found.items.iter().map(|found| found.patient));
        cursor = found.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, sorted);
    let of = |category| PanelQuery { category, ..PanelQuery::default() };
    assert_eq!(panel(&setting, ALSO_THERE, of(Some(CATEGORY))).await, [ADA]);
    let other = CategoryId(Uuid::from_u128(1));
    assert_eq!(panel(&setting, ALSO_THERE, of(Some(other))).await, []);
    let treated = |is| PanelQuery { under_treatment: Some(is), ..PanelQuery::default() };
    assert_eq!(panel(&setting, ALSO_THERE, treated(true)).await, [ADA]);
    assert_eq!(panel(&setting, ALSO_THERE, treated(false)).await, [EVE]);
    assert_eq!(panel(&setting, IN_MASSACHUSETTS, PanelQuery::default()).await, []);
    let audited = format!(
        "SELECT count(*) FROM audit_entries WHERE entity = 'provider_panel' AND action = 'search' \
         AND patient_id = '{ADA}'"
    );
    assert!(setting.count(&audited).await >= 4);
    let forged = PageRequest::new(None, Some("1' OR 1".into()));
    let query = PanelQuery { page: forged, ..PanelQuery::default() };
    let refused = portal::panel(env, setting.store(), &actor, &query).await;
    assert!(matches!(refused, Err(CareError::Port(PortError::Invalid(_)))), "{refused:?}");
}
