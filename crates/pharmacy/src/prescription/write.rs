//! Writing prescriptions: from a treatment plan to a message on its way.
//!
//! What a decision needs of other contexts is read before the transaction
//! begins. Within it the plan's open prescription is locked first, so that
//! two requests for one plan end in one prescription.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use kernel::{
    Actor, DomainError as _, ErxMessageId, FieldError, PatientId, Permission, PharmacyId,
    PrescriptionId, ProviderId, Seen, TreatmentPlanId,
};
use ports::{
    AuditAction, AuditEntry, Env, IdempotencyKey, JobRequest, Locked, PortError, repository::lock,
};

pub use super::Changes;
use super::{
    Medication, Patients, Pharmacy, PlannedTreatment, Prescribers, Prescription, PrescriptionReach,
    PrescriptionState, PrescriptionStore, PrescriptionTx, TreatmentPlans, announce,
    parties::{PatientDetails, PrescriberDetails},
};
use crate::{
    PharmacyError,
    dispatch::withdraw::{CHANGED, withdraw},
    erx::{NewRx, SendNewRx},
    safety::{
        self, ClinicalFacts, ClinicalRecord, Formulary, InteractionProvider, Proposed,
        RecordedMedication, SafetyAlert,
    },
};

/// What prescribing asks of other contexts.
#[derive(Clone)]
pub struct PrescribingPorts {
    pub plans: Arc<dyn TreatmentPlans>,
    pub prescribers: Arc<dyn Prescribers>,
    pub patients: Arc<dyn Patients>,
    pub record: Arc<dyn ClinicalRecord>,
    pub interactions: Arc<dyn InteractionProvider>,
}

/// A provider's reason to go on in spite of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverrideRequest {
    /// The alert's key.
    pub alert: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrescribeRequest {
    pub treatment_plan: TreatmentPlanId,
    /// The version of the plan's treatment that the provider has read.
    pub plan_version: u32,
    pub pharmacy: PharmacyId,
    pub overrides: Vec<OverrideRequest>,
}

/// Everything a signature rests on, read before the transaction.
struct Basis {
    patient: PatientDetails,
    prescriber: PrescriberDetails,
    allergies: Vec<String>,
    facts: ports::Result<ClinicalFacts>,
    /// What is prescribed here by other plans, with the prescription.
    prescribed: Vec<(PrescriptionId, Medication)>,
}

impl Basis {
    async fn read(
        env: &Env,
        store: &dyn PrescriptionStore,
        ports: &PrescribingPorts,
        (patient, plan): (PatientId, TreatmentPlanId),
        provider: ProviderId,
    ) -> Result<Self, PharmacyError> {
        let details = ports
            .patients
            .details(patient)
            .await?
            .ok_or_else(|| PortError::not_found("patient"))?;
        let prescriber = ports
            .prescribers
            .prescriber(provider)
            .await?
            .ok_or_else(|| PortError::not_found("prescriber"))?;
        let (facts, prescribed) =
            known(env, store, ports.record.as_ref(), (patient, Some(plan))).await?;
        let allergies = facts
            .as_ref()
            .map(|facts| facts.allergies.iter().map(|allergy| allergy.display.clone()).collect())
            .unwrap_or_default();
        Ok(Self { patient: details, prescriber, allergies, facts, prescribed })
    }

    /// Holds the rest of the transaction to what was read before it: another
    /// prescription of the patient that was signed in between has not been
    /// checked against.
    async fn still_holds(
        &self,
        env: &Env,
        tx: &mut dyn PrescriptionTx,
        plan: TreatmentPlanId,
    ) -> Result<(), PharmacyError> {
        let patient = self.patient.patient;
        tx.lock_prescribing(patient).await?;
        if prescribed_elsewhere(env, tx, patient, Some(plan)).await? == self.prescribed {
            return Ok(());
        }
        Err(PortError::Conflict("prescriptions_of_the_patient".to_owned()).into())
    }

    async fn alerts(&self, ports: &PrescribingPorts, of: Proposed<'_>) -> Vec<SafetyAlert> {
        safety::check(Formulary::shipped(), ports.interactions.as_ref(), &self.facts, of).await
    }

    /// The rules that hold whenever a prescription is signed.
    fn may_sign(&self, treatment: &PlannedTreatment, env: &Env) -> Result<(), PharmacyError> {
        Prescription::refuse_controlled(&treatment.medication)?;
        if !treatment.on_formulary {
            return Err(PharmacyError::NotOnFormulary);
        }
        let Some(address) = &self.patient.address else {
            return Err(PharmacyError::Invalid(vec![FieldError::required("patient.address")]));
        };
        self.prescriber.license_in(address.state, env.now())?;
        Ok(())
    }
}

/// The record, with what is prescribed here by other plans than this one.
async fn known(
    env: &Env,
    store: &dyn PrescriptionStore,
    record: &dyn ClinicalRecord,
    (patient, plan): (PatientId, Option<TreatmentPlanId>),
) -> Result<(ports::Result<ClinicalFacts>, Vec<(PrescriptionId, Medication)>), PharmacyError> {
    let mut facts = record.facts(patient).await;
    let mut tx = store.begin(&Actor::system("pharmacy.safety")).await?;
    let prescribed = prescribed_elsewhere(env, tx.as_mut(), patient, plan).await?;
    drop(tx);
    if let Ok(facts) = &mut facts {
        facts.medications.extend(prescribed.iter().map(|(_, medication)| RecordedMedication {
            rxnorm: Some(medication.rxnorm.clone()),
            display: medication.display.clone(),
            prescribed: true,
        }));
    }
    Ok((facts, prescribed))
}

/// What the check finds against a treatment that nobody has signed yet; the
/// plan whose place it would take is left out.
pub async fn proposed_alerts(
    env: &Env,
    store: &dyn PrescriptionStore,
    (record, interactions): (&dyn ClinicalRecord, &dyn InteractionProvider),
    about: (PatientId, Option<TreatmentPlanId>),
    proposed: Proposed<'_>,
) -> Result<Vec<SafetyAlert>, PharmacyError> {
    let (facts, _) = known(env, store, record, about).await?;
    Ok(safety::check(Formulary::shipped(), interactions, &facts, proposed).await)
}

/// What other plans than this one prescribe to the patient now.
pub(crate) async fn prescribed_elsewhere(
    env: &Env,
    tx: &mut dyn PrescriptionTx,
    patient: PatientId,
    plan: Option<TreatmentPlanId>,
) -> Result<Vec<(PrescriptionId, Medication)>, PharmacyError> {
    let taken = tx.taken_prescriptions(patient, env.now().date_naive()).await?;
    Ok(taken
        .into_iter()
        .filter(|prescription| Some(prescription.treatment_plan) != plan)
        .map(|prescription| (prescription.id, prescription.medication))
        .collect())
}

/// A provider sends the prescription of a treatment plan. While one is open
/// for the plan as it stands that one is the answer, and overrides apply to it.
/// One of an earlier version of the plan is withdrawn, and a new one written.
pub async fn prescribe(
    env: &Env,
    store: &dyn PrescriptionStore,
    ports: &PrescribingPorts,
    actor: &Actor,
    request: PrescribeRequest,
    key: &IdempotencyKey,
) -> Result<Prescription, PharmacyError> {
    actor.require(Permission::PrescriptionWrite)?;
    let provider = acting_provider(actor)?;
    let treatment = match ports.plans.treatment(request.treatment_plan).await? {
        Some(treatment) if treatment.provider == provider => treatment,
        _ => {
            deny(store, actor, "treatment_plan", request.treatment_plan).await?;
            return Err(no_plan().into());
        }
    };
    check_active(&treatment)?;
    let about = (treatment.patient, treatment.id);
    let mut again = false;
    loop {
        let basis = Basis::read(env, store, ports, about, provider).await?;
        basis.may_sign(&treatment, env)?;
        let alerts = basis.alerts(ports, Proposed::of_treatment(&treatment)).await;
        let attempt =
            write(env, store, actor, &treatment, &basis, &alerts, &request, Some(key)).await;
        match attempt {
            // Another request wrote a prescription of the patient in between;
            // the second round finds it.
            Err(PharmacyError::Port(PortError::Conflict(_))) if !again => again = true,
            other => return other,
        }
    }
}

fn no_plan() -> PortError {
    PortError::not_found("treatment_plan")
}

fn check_active(treatment: &PlannedTreatment) -> Result<(), PharmacyError> {
    if treatment.active { Ok(()) } else { Err(PharmacyError::TreatmentNotActive) }
}

#[expect(clippy::too_many_arguments, reason = "one transaction needs all of what was read for it")]
async fn write(
    env: &Env,
    store: &dyn PrescriptionStore,
    actor: &Actor,
    treatment: &PlannedTreatment,
    basis: &Basis,
    alerts: &[SafetyAlert],
    request: &PrescribeRequest,
    key: Option<&IdempotencyKey>,
) -> Result<Prescription, PharmacyError> {
    let mut tx = store.begin(actor).await?;
    basis.still_holds(env, tx.as_mut(), treatment.id).await?;
    let mut open = tx.open_prescription(treatment.id).await?;
    // What a colleague signed who has handed the plan over is not what this
    // provider signs.
    let outdated = open.take_if(|open| {
        open.plan_version < treatment.version || open.provider != treatment.provider
    });
    let id = open.as_ref().map_or_else(|| env.fresh(), |open| open.id);
    if let Some(key) = key
        && let Some(earlier) = tx.claim(key, id.uuid()).await?
    {
        let earlier = PrescriptionId::from_uuid(earlier);
        return answer_again(tx, earlier, PrescriptionReach::Prescriber(treatment.provider)).await;
    }
    if request.plan_version != treatment.version {
        return Err(PharmacyError::TreatmentChanged);
    }
    if let Some(outdated) = outdated {
        withdraw(env, tx.as_mut(), outdated, CHANGED).await?;
    }
    let overrides = &request.overrides;
    let settled = (alerts, treatment.provider, overrides.as_slice());
    let signed = match open {
        Some(mut open) => {
            let blocked = matches!(open.state, PrescriptionState::Blocked { .. });
            if !blocked || overrides.is_empty() {
                tx.audit(
                    AuditEntry::new(AuditAction::Read, "prescription", open.id)
                        .patient(open.patient),
                );
                tx.commit().await?;
                return Ok(open.into_inner());
            }
            sign(env, tx.as_mut(), &mut open, basis, settled).await?;
            save(tx.as_mut(), &mut open, overrides.len()).await?;
            open.into_inner()
        }
        None => {
            let mut new = draft(env, id, treatment, basis, request.pharmacy);
            sign(env, tx.as_mut(), &mut new, basis, settled).await?;
            add(tx.as_mut(), &new, overrides.len()).await?;
            new
        }
    };
    tx.commit().await?;
    Ok(signed)
}

/// A treatment plan that came from an automatic approval is prescribed
/// without a provider's request, in the name of the provider who answers for
/// it. What would refuse a provider's request becomes a failed prescription
/// here, and so a task for that provider.
pub async fn on_treatment_plan_created(
    env: &Env,
    store: &dyn PrescriptionStore,
    ports: &PrescribingPorts,
    plan: TreatmentPlanId,
    automatic: bool,
) -> Result<(), PharmacyError> {
    if !automatic {
        return Ok(());
    }
    let actor = Actor::system("pharmacy.on_treatment_plan_created");
    let treatment = ports.plans.treatment(plan).await?.ok_or_else(no_plan)?;
    let about = (treatment.patient, plan);
    let basis = Basis::read(env, store, ports, about, treatment.provider).await?;
    let alerts = basis.alerts(ports, Proposed::of_treatment(&treatment)).await;

    let mut tx = store.begin(&actor).await?;
    if !treatment.active || tx.open_prescription(plan).await?.is_some() {
        return Ok(());
    }
    // Where another was signed in between, the event is delivered once more.
    basis.still_holds(env, tx.as_mut(), plan).await?;
    // Where none is licensed for the patient one is named all the same, and the
    // prescription fails with that reason, which is a task of its prescriber.
    let home = basis.patient.address.as_ref().map(|address| address.state);
    let licensed = tx.default_pharmacy(home).await?;
    let pharmacy = match licensed {
        Some(pharmacy) => pharmacy,
        None => tx
            .default_pharmacy(None)
            .await?
            .ok_or_else(|| PortError::bug("the pharmacy directory has no mail-order pharmacy"))?,
    };
    let mut new = draft(env, env.fresh(), &treatment, &basis, pharmacy.id);
    let signed = match basis.may_sign(&treatment, env) {
        Ok(()) => {
            let settled = (alerts.as_slice(), treatment.provider, &[][..]);
            sign(env, tx.as_mut(), &mut new, &basis, settled).await
        }
        refused => refused,
    };
    match signed {
        Ok(()) => {}
        Err(PharmacyError::Invalid(fields)) => {
            new.fail("preflight", &field_codes(&fields), env.now())?;
        }
        Err(
            refusal @ (PharmacyError::ControlledSubstance
            | PharmacyError::NotOnFormulary
            | PharmacyError::LicenseRequired(_)),
        ) => new.fail(refusal.code(), &refusal.to_string(), env.now())?,
        Err(error) => return Err(error),
    }
    add(tx.as_mut(), &new, 0).await?;
    tx.commit().await?;
    Ok(())
}

/// A provider changes a prescription that has not been sent; it is checked
/// again and goes out if nothing blocks it.
pub async fn modify(
    env: &Env,
    store: &dyn PrescriptionStore,
    ports: &PrescribingPorts,
    actor: &Actor,
    id: PrescriptionId,
    changes: Changes,
) -> Result<Prescription, PharmacyError> {
    resign(env, store, ports, actor, id, &[], None, move |prescription, now| {
        prescription.modify(changes, now)
    })
    .await
}

/// A provider takes alerts upon themselves, each with a reason. With the last
/// of them the prescription goes out.
pub async fn override_alerts(
    env: &Env,
    store: &dyn PrescriptionStore,
    ports: &PrescribingPorts,
    actor: &Actor,
    id: PrescriptionId,
    overrides: &[OverrideRequest],
    key: &IdempotencyKey,
) -> Result<Prescription, PharmacyError> {
    if overrides.is_empty() {
        return Err(PharmacyError::Invalid(vec![FieldError::required("overrides")]));
    }
    resign(env, store, ports, actor, id, overrides, Some(key), |_, _| Ok(())).await
}

#[expect(clippy::too_many_arguments, reason = "two use cases share it, each with its own part")]
async fn resign(
    env: &Env,
    store: &dyn PrescriptionStore,
    ports: &PrescribingPorts,
    actor: &Actor,
    id: PrescriptionId,
    overrides: &[OverrideRequest],
    key: Option<&IdempotencyKey>,
    change: impl FnOnce(&mut Prescription, DateTime<Utc>) -> Result<(), PharmacyError>,
) -> Result<Prescription, PharmacyError> {
    actor.require(Permission::PrescriptionWrite)?;
    let provider = acting_provider(actor)?;
    let reach = PrescriptionReach::Prescriber(provider);
    let seen = store.begin(actor).await?.prescription(id, reach).await?;
    let Some(mut changed) = seen else {
        deny(store, actor, "prescription", id).await?;
        return Err(PharmacyError::no::<Prescription>());
    };
    let shown = changed.alerts.clone();
    change(&mut changed, env.now())?;
    let planned = ports.plans.treatment(changed.treatment_plan).await?.ok_or_else(no_plan)?;
    check_active(&planned)?;
    // Who has taken the plan over prescribes it in their own name.
    if changed.plan_version < planned.version || planned.provider != provider {
        return Err(PharmacyError::TreatmentChanged);
    }
    let about = (changed.patient, changed.treatment_plan);
    let basis = Basis::read(env, store, ports, about, provider).await?;
    let treatment = treatment_of(&changed, planned.on_formulary);
    // The formulary may say of the drug today what it did not when the
    // prescription was written.
    Prescription::refuse_controlled(&planned.medication)?;
    basis.may_sign(&treatment, env)?;
    let alerts = basis.alerts(ports, Proposed::of_treatment(&treatment)).await;
    // An alert that is not as it was shown is not overridden but shown.
    let unread = !are_as_shown(overrides, &shown, &alerts);
    let overrides = if unread { &[] } else { overrides };

    let mut tx = store.begin(actor).await?;
    if let Some(key) = key
        && tx.claim(key, id.uuid()).await?.is_some()
    {
        return answer_again(tx, id, reach).await;
    }
    basis.still_holds(env, tx.as_mut(), changed.treatment_plan).await?;
    let mut signed = lock::<Prescription>(tx.as_mut(), id, &Seen::Any).await?;
    // Nothing is signed that was not checked.
    if signed.version != changed.version {
        return Err(PortError::Conflict("the version of a prescription".to_owned()).into());
    }
    signed.set(changed);
    sign(env, tx.as_mut(), &mut signed, &basis, (&alerts, provider, overrides)).await?;
    save(tx.as_mut(), &mut signed, overrides.len()).await?;
    tx.commit().await?;
    if unread && matches!(signed.state, PrescriptionState::Blocked { .. }) {
        return Err(PharmacyError::AlertsChanged);
    }
    Ok(signed.into_inner())
}

/// Answers a repeated request with what the first one made, as it is now.
async fn answer_again(
    mut tx: Box<dyn PrescriptionTx>,
    id: PrescriptionId,
    reach: PrescriptionReach,
) -> Result<Prescription, PharmacyError> {
    let prescription = tx.prescription(id, reach).await?;
    let prescription = prescription.ok_or_else(PharmacyError::no::<Prescription>)?;
    tx.audit(AuditEntry::new(AuditAction::Read, "prescription", id).patient(prescription.patient));
    tx.commit().await?;
    Ok(prescription)
}

/// An alert is overridden as it was read. One that the check finds graver or in
/// other words by now has not been read by anybody.
fn are_as_shown(overrides: &[OverrideRequest], shown: &[SafetyAlert], now: &[SafetyAlert]) -> bool {
    let of = |alerts: &[SafetyAlert], key: &str| {
        let found = alerts.iter().find(|alert| alert.key == key);
        found.map(|alert| (alert.severity, alert.summary.clone(), alert.source.clone()))
    };
    overrides.iter().all(|one| {
        let now = of(now, &one.alert);
        now.is_none() || of(shown, &one.alert) == now
    })
}

fn acting_provider(actor: &Actor) -> Result<ProviderId, PharmacyError> {
    actor.as_provider().ok_or_else(|| {
        PharmacyError::Forbidden(kernel::actor::MissingPermission(Permission::PrescriptionWrite))
    })
}

fn draft(
    env: &Env,
    id: PrescriptionId,
    treatment: &PlannedTreatment,
    basis: &Basis,
    pharmacy: PharmacyId,
) -> Prescription {
    let now = env.now();
    let written_on = basis.patient.address.as_ref().map_or_else(
        || now.date_naive(),
        |address| now.with_timezone(&address.state.zone()).date_naive(),
    );
    Prescription {
        id,
        treatment_plan: treatment.id,
        plan_version: treatment.version,
        patient: treatment.patient,
        provider: treatment.provider,
        category: treatment.category,
        pharmacy,
        medication: treatment.medication.clone(),
        dosing: treatment.dosing.clone(),
        diagnosis: treatment.diagnosis.clone(),
        written_on,
        alerts: Vec::new(),
        fills_used: 0,
        last_filled_on: None,
        state: PrescriptionState::Draft,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

fn treatment_of(prescription: &Prescription, on_formulary: bool) -> PlannedTreatment {
    PlannedTreatment {
        id: prescription.treatment_plan,
        version: prescription.plan_version,
        patient: prescription.patient,
        provider: prescription.provider,
        category: prescription.category,
        active: true,
        on_formulary,
        medication: prescription.medication.clone(),
        dosing: prescription.dosing.clone(),
        diagnosis: prescription.diagnosis.clone(),
    }
}

/// Settles the alerts and the overrides, runs the pre-flight, and queues what
/// nothing blocks.
async fn sign(
    env: &Env,
    tx: &mut dyn PrescriptionTx,
    prescription: &mut Prescription,
    basis: &Basis,
    (alerts, provider, overrides): (&[SafetyAlert], ProviderId, &[OverrideRequest]),
) -> Result<(), PharmacyError> {
    let pharmacy: Option<Pharmacy> = tx.find(prescription.pharmacy).await?;
    let pharmacy = pharmacy.filter(|pharmacy| pharmacy.active).ok_or_else(|| {
        PharmacyError::field("pharmacy_id", "unknown", "There is no such active pharmacy.")
    })?;
    if let Some(address) = &basis.patient.address
        && !pharmacy.serves(address.state)
    {
        return Err(PharmacyError::field(
            "pharmacy_id",
            "not_licensed",
            format!("The pharmacy is not licensed in {}.", address.state.name()),
        ));
    }
    prescription.dosing.validate().map_err(PharmacyError::Invalid)?;
    let now = env.now();
    let message: ErxMessageId = env.fresh();
    NewRx::assemble(
        prescription,
        message,
        basis.patient.clone(),
        basis.prescriber.clone(),
        pharmacy,
        basis.allergies.clone(),
        now,
    )
    .map_err(PharmacyError::Invalid)?;
    prescription.check(alerts.to_vec(), message, now)?;
    if !overrides.is_empty() {
        for request in overrides {
            prescription.override_alert(&request.alert, provider, &request.reason, now)?;
        }
        prescription.check(alerts.to_vec(), message, now)?;
    }
    if let PrescriptionState::Queued { message, .. } = prescription.state {
        let job = SendNewRx { prescription: prescription.id, message };
        tx.enqueue(JobRequest::new(&job).key(format!("new-rx:{message}")));
    }
    Ok(())
}

async fn add(
    tx: &mut dyn PrescriptionTx,
    new: &Prescription,
    overrides: usize,
) -> Result<(), PharmacyError> {
    tx.insert(new).await?;
    tell(tx, AuditAction::Create, new, overrides).await
}

async fn save(
    tx: &mut dyn PrescriptionTx,
    signed: &mut Locked<Prescription>,
    overrides: usize,
) -> Result<(), PharmacyError> {
    tx.save(signed).await?;
    tell(tx, AuditAction::Update, signed, overrides).await
}

/// Tells the others and audits.
async fn tell(
    tx: &mut dyn PrescriptionTx,
    action: AuditAction,
    prescription: &Prescription,
    overrides: usize,
) -> Result<(), PharmacyError> {
    // What is signed here was not sent before.
    announce(tx, None, prescription).await?;
    tx.audit(
        AuditEntry::new(action, "prescription", prescription.id)
            .patient(prescription.patient)
            .detail("state", prescription.state.word())
            .detail("alerts", prescription.alerts.len())
            .detail("overrides", overrides),
    );
    Ok(())
}

pub(crate) fn field_codes(fields: &[FieldError]) -> String {
    fields
        .iter()
        .map(|field| format!("{}: {}", field.path, field.code))
        .collect::<Vec<_>>()
        .join("; ")
}

/// Writes down that someone asked for what is not theirs.
pub(crate) async fn deny(
    store: &dyn PrescriptionStore,
    actor: &Actor,
    entity: &'static str,
    id: impl ToString,
) -> Result<(), PharmacyError> {
    let mut tx = store.begin(actor).await?;
    tx.audit(AuditEntry::new(AuditAction::Read, entity, id).denied());
    tx.commit().await?;
    Ok(())
}
