//! Tasks that the pharmacy's side asks for: phone it, or decide about a fill.

use care::{Task, TaskKind, pharmacy_tasks, tasks::TaskChange};
use kernel::{FillHoldId, ShipmentId};
use ports::events::ShipmentStatusWord;

use super::*;

async fn open(setting: &Setting, who: ProviderId) -> Vec<Task> {
    let (env, actor, page) = (&setting.database.env, provider(who), PageRequest::default());
    let (store, sources) = (setting.store(), &setting.sources);
    tasks::list(env, store, sources, &actor, Shown::Open, &page).await.unwrap().items
}

async fn ended(setting: &Setting, prescription: PrescriptionId, prescriber: ProviderId) {
    let (env, plan) = (&setting.database.env, setting.database.env.fresh());
    for _ in 0..2 {
        let (about, whose) = ((prescription, plan), (ADA, prescriber));
        let (store, sources) = (setting.store(), &setting.sources);
        pharmacy_tasks::on_pharmacy_to_be_told(env, store, sources, about, whose).await.unwrap();
    }
}

#[tokio::test]
async fn a_pharmacy_is_phoned_once_and_nothing_but_a_person_settles_it() {
    let setting = setting().await;
    let env = &setting.database.env;
    let prescription: PrescriptionId = env.fresh();
    ended(&setting, prescription, IN_MASSACHUSETTS).await;
    ended(&setting, prescription, IN_MASSACHUSETTS).await;
    let task = open(&setting, IN_MASSACHUSETTS).await.pop().unwrap();
    assert_eq!((task.kind, task.subject), (TaskKind::PhonePharmacy, prescription.uuid()));
    assert_eq!(setting.count("SELECT count(*) FROM care_tasks").await, 1);

    // The news that the prescription was canceled comes after it, and settles
    // every other task about the prescription.
    let about = ((prescription, env.fresh(), 1), (ADA, IN_MASSACHUSETTS));
    tell_of_prescription(&setting, about, PrescriptionStatusWord::Blocked, None).await;
    tell_of_prescription(&setting, about, PrescriptionStatusWord::Canceled, None).await;
    assert_eq!(open(&setting, IN_MASSACHUSETTS).await, std::slice::from_ref(&task));

    let (store, sources) = (setting.store(), &setting.sources);
    let actor = provider(IN_MASSACHUSETTS);
    let complete = async |note: Option<&str>| {
        let what = TaskChange::Complete { note: note.map(str::to_owned) };
        tasks::change(env, store, sources, &actor, (task.id, &Seen::Any), what).await
    };
    assert!(complete(None).await.is_err(), "who was spoken to has to be said");
    complete(Some("Spoke with the pharmacist on duty.")).await.unwrap();
    // It ends a second time, as after a new prescription under the same id.
    ended(&setting, prescription, IN_MASSACHUSETTS).await;
    assert_eq!(open(&setting, IN_MASSACHUSETTS).await.len(), 1);
}

#[tokio::test]
async fn where_the_prescriber_may_not_treat_the_patient_a_colleague_has_the_task() {
    let setting = setting().await;
    ended(&setting, setting.database.env.fresh(), IN_TEXAS).await;
    assert!(open(&setting, IN_TEXAS).await.is_empty());
    let mut found = open(&setting, IN_MASSACHUSETTS).await;
    found.extend(open(&setting, ALSO_THERE).await);
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_held_fill_is_a_task_until_it_is_released() {
    let setting = setting().await;
    let (env, store) = (&setting.database.env, setting.store());
    let hold: FillHoldId = env.fresh();
    let whose = (ADA, Some(IN_MASSACHUSETTS));
    for _ in 0..2 {
        pharmacy_tasks::on_fill_held(env, store, &setting.sources, hold, whose).await.unwrap();
    }
    let task = open(&setting, IN_MASSACHUSETTS).await.pop().unwrap();
    assert_eq!((task.kind, task.subject), (TaskKind::HeldFill, hold.uuid()));
    let by = (ADA, IN_MASSACHUSETTS);
    pharmacy_tasks::on_fill_released(env, store, hold, by).await.unwrap();
    assert!(open(&setting, IN_MASSACHUSETTS).await.is_empty());
}

#[tokio::test]
async fn a_parcel_is_a_task_until_somebody_says_what_became_of_it_or_it_arrives() {
    let setting = setting().await;
    let (env, store) = (&setting.database.env, setting.store());
    let shipment: ShipmentId = env.fresh();
    let astray = async || {
        let about = (shipment, env.fresh());
        let whose = (ADA, IN_MASSACHUSETTS);
        pharmacy_tasks::on_parcel_astray(env, store, &setting.sources, about, whose).await.unwrap();
    };
    astray().await;
    astray().await;
    let task = open(&setting, IN_MASSACHUSETTS).await.pop().unwrap();
    assert_eq!((task.kind, task.subject), (TaskKind::AstrayParcel, shipment.uuid()));
    assert_eq!(task.kind.priority(), care::Priority::Urgent);
    let silent = TaskChange::Complete { note: None };
    let actor = provider(IN_MASSACHUSETTS);
    let refused =
        tasks::change(env, store, &setting.sources, &actor, (task.id, &Seen::Any), silent).await;
    assert!(refused.is_err(), "what became of it has to be said");

    let now = async |status| {
        pharmacy_tasks::on_shipment_changed(env, store, (shipment, ADA), status).await.unwrap();
    };
    now(ShipmentStatusWord::InTransit).await;
    assert_eq!(open(&setting, IN_MASSACHUSETTS).await, [task]);
    now(ShipmentStatusWord::Delivered).await;
    assert!(open(&setting, IN_MASSACHUSETTS).await.is_empty());
    assert_eq!(setting.count("SELECT count(*) FROM care_tasks").await, 1);
}
