//! Tasks as they are worked: done, put off, handed on, and settled by what they
//! were about; and what a provider sees of all that at a glance.

use care::{
    Task, TaskStatus,
    information::{self, EscalateReviews},
    tasks::TaskChange,
};
use kernel::{DomainError as _, ErrorKind};

use super::*;

async fn list(setting: &Setting, who: ProviderId, shown: Shown) -> Vec<Task> {
    let (env, actor, page) = (&setting.database.env, provider(who), PageRequest::default());
    let (store, sources) = (setting.store(), &setting.sources);
    tasks::list(env, store, sources, &actor, shown, &page).await.unwrap().items
}

async fn change(
    setting: &Setting,
    who: ProviderId,
    task: &Task,
    seen: Option<i64>,
    what: TaskChange,
) -> Result<Task, CareError> {
    let (env, actor) = (&setting.database.env, provider(who));
    let (store, sources) = (setting.store(), &setting.sources);
    tasks::change(env, store, sources, &actor, (task.id, &any_or(seen)), what).await
}

/// The task that an answer raises which points to danger, and whose it is.
async fn danger(setting: &Setting) -> (ProviderId, Task) {
    setting.assess(ADA, &["danger"]).await;
    for who in [IN_MASSACHUSETTS, ALSO_THERE] {
        if let Some(task) = list(setting, who, Shown::Open).await.pop() {
            return (who, task);
        }
    }
    panic!("nobody has the task");
}

fn done(note: &str) -> TaskChange {
    TaskChange::Complete { note: Some(note.to_owned()) }
}

#[tokio::test]
async fn a_task_is_done_by_whose_it_is_with_a_sealed_note_and_stays_done() {
    let setting = setting().await;
    let (who, task) = danger(&setting).await;
    let other = if who == ALSO_THERE { IN_MASSACHUSETTS } else { ALSO_THERE };
    for stranger in [other, IN_TEXAS] {
        let denied = change(&setting, stranger, &task, None, done("Mine.")).await;
        assert!(matches!(denied, Err(CareError::Port(PortError::NotFound { .. }))), "{denied:?}");
    }
    let denied = "SELECT count(*) FROM audit_entries WHERE entity = 'task' AND outcome = 'denied'";
    assert_eq!(setting.count(denied).await, 2);
    let silent = change(&setting, who, &task, None, TaskChange::Complete { note: None }).await;
    assert!(matches!(silent, Err(CareError::Invalid(_))), "{silent:?}");
    let ended = change(&setting, who, &task, Some(1), done("Called at once.")).await.unwrap();
    assert_eq!((ended.status(), ended.version), (TaskStatus::Done, 2));
    assert_eq!(list(&setting, who, Shown::Open).await, []);
    assert_eq!(list(&setting, who, Shown::Done).await, [ended]);
    let again = change(&setting, who, &task, None, done("Twice.")).await.unwrap_err();
    assert_eq!((again.kind(), again.code()), (ErrorKind::Conflict, "care.task_done"));
    let open =
        "SELECT count(*) FROM care_tasks WHERE position('Called' in encode(note, 'escape')) > 0";
    assert_eq!(setting.count(open).await, 0, "it lies open");
    let audited = "SELECT count(*) FROM audit_entries WHERE entity = 'task' \
                   AND detail->>'task' = 'complete' AND patient_id IS NOT NULL";
    assert_eq!(setting.count(audited).await, 1);
}

#[tokio::test]
async fn a_task_that_is_put_off_comes_back_when_its_time_is_there() {
    let setting = setting().await;
    let (who, task) = danger(&setting).await;
    let now = setting.database.env.now();
    let until = now + TimeDelta::minutes(30);
    let far = TaskChange::Snooze { until: now + TimeDelta::hours(2) };
    let far = change(&setting, who, &task, None, far).await;
    assert!(matches!(far, Err(CareError::Invalid(_))), "{far:?}");
    let snoozed = change(&setting, who, &task, None, TaskChange::Snooze { until }).await.unwrap();
    assert_eq!(list(&setting, who, Shown::Open).await, []);
    assert_eq!(list(&setting, who, Shown::Snoozed).await, [snoozed]);
    let woken = change(&setting, who, &task, Some(2), TaskChange::Wake).await.unwrap();
    assert_eq!(list(&setting, who, Shown::Open).await, [woken]);
    change(&setting, who, &task, None, TaskChange::Snooze { until }).await.unwrap();
    setting.database.clock.advance(TimeDelta::minutes(30));
    assert_eq!(list(&setting, who, Shown::Open).await.len(), 1);
    assert_eq!(list(&setting, who, Shown::Snoozed).await, []);
}

#[tokio::test]
async fn a_task_goes_to_a_licensed_colleague_who_is_told_and_sees_the_chart() {
    let setting = setting().await;
    let (who, task) = danger(&setting).await;
    let other = if who == ALSO_THERE { IN_MASSACHUSETTS } else { ALSO_THERE };
    let to = |to| TaskChange::HandOver { to };
    let texan = change(&setting, who, &task, None, to(IN_TEXAS)).await;
    assert!(matches!(texan, Err(CareError::Invalid(_))), "{texan:?}");
    assert!(!setting.database.pg.treats(other, ADA).await.unwrap());
    let told = "SELECT count(*) FROM outbox_events WHERE kind = 'task_created'";
    let before = setting.count(told).await;
    change(&setting, who, &task, None, to(other)).await.unwrap();
    assert_eq!(setting.count(told).await, before + 1);
    assert_eq!(list(&setting, other, Shown::Open).await.len(), 1);
    assert!(setting.database.pg.treats(other, ADA).await.unwrap());
    let late = change(&setting, who, &task, None, to(other)).await;
    assert!(matches!(late, Err(CareError::Port(PortError::NotFound { .. }))), "{late:?}");
    let audited = format!(
        "SELECT count(*) FROM audit_entries WHERE detail->>'task' = 'reassign' \
         AND detail->>'old_provider' = '{who}' AND detail->>'new_provider' = '{other}'"
    );
    assert_eq!(setting.count(&audited).await, 1);
}

#[tokio::test]
async fn of_two_tabs_one_changes_the_task_and_the_other_hears_of_it() {
    let setting = setting().await;
    let (who, task) = danger(&setting).await;
    let until = setting.database.env.now() + TimeDelta::minutes(10);
    let (one, two) = tokio::join!(
        change(&setting, who, &task, Some(1), done("Called.")),
        change(&setting, who, &task, Some(1), TaskChange::Snooze { until }),
    );
    let failures: Vec<CareError> = [one.err(), two.err()].into_iter().flatten().collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].kind(), ErrorKind::PreconditionFailed, "{failures:?}");
    let stale = change(&setting, who, &task, Some(1), TaskChange::Wake).await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::PreconditionFailed);
}

#[tokio::test]
async fn a_decision_settles_the_tasks_about_its_review() {
    let setting = setting().await;
    let (env, store, sources) = (&setting.database.env, setting.store(), &setting.sources);
    let open = "SELECT count(*) FROM care_tasks WHERE status = 'open' \
                AND kind IN ('urgent_review', 'overdue_review')";
    let approved = setting.assess(ADA, &["danger"]).await;
    let rejected = setting.assess(EVE, &["danger"]).await;
    setting.database.clock.advance(TimeDelta::days(3));
    information::escalate_reviews(env, store, sources, EscalateReviews {}).await.unwrap();
    assert_eq!(setting.count(open).await, 4, "danger, and overdue, of both");
    setting.claim(approved, ALSO_THERE).await.unwrap();
    setting.approve(approved, ALSO_THERE, None, "k1").await.unwrap();
    assert_eq!(setting.count(open).await, 2);
    setting.claim(rejected, ALSO_THERE).await.unwrap();
    let (actor, reason) = (provider(ALSO_THERE), RejectionReason::NeedsInPersonVisit);
    reviews::reject(env, store, sources, &actor, rejected, reason, None).await.unwrap();
    assert_eq!(setting.count(open).await, 0);
    let by = format!("SELECT count(*) FROM care_tasks WHERE done_by = '{ALSO_THERE}'");
    assert_eq!(setting.count(&by).await, 4);
    let audited = "SELECT count(*) FROM audit_entries WHERE detail->>'tasks_settled' = '2'";
    assert_eq!(setting.count(audited).await, 2);
}

#[tokio::test]
async fn a_prescription_that_goes_on_settles_its_task_and_a_second_block_opens_another() {
    let setting = setting().await;
    let env = &setting.database.env;
    let prescription = env.fresh();
    let tell = async |status| {
        let about = ((prescription, env.fresh(), 1), (ADA, ALSO_THERE));
        tell_of_prescription(&setting, about, status, None).await;
    };
    tell(PrescriptionStatusWord::Blocked).await;
    tell(PrescriptionStatusWord::Blocked).await;
    assert_eq!(list(&setting, ALSO_THERE, Shown::Open).await.len(), 1);
    tell(PrescriptionStatusWord::Queued).await;
    assert_eq!(list(&setting, ALSO_THERE, Shown::Open).await, []);
    let settled = list(&setting, ALSO_THERE, Shown::Done).await;
    assert_eq!(settled[0].ended.as_ref().unwrap().by, None, "by itself");
    tell(PrescriptionStatusWord::Failed).await;
    tell(PrescriptionStatusWord::Blocked).await;
    assert_eq!(list(&setting, ALSO_THERE, Shown::Open).await.len(), 2);
}
