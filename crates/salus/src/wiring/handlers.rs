//! Which events each context hears, and which jobs it has. Names are part of
//! the record of what was handled and never change.

use std::sync::Arc;

use ports::{Event, Registry, events::PrescriptionStatusWord};

use super::World;

/// Registers a handler: its name, the event it wants with the fields it takes,
/// and what it does.
macro_rules! on {
    ($registry:expr, $world:expr, $name:literal, $variant:ident { $($field:ident),* } => |$w:ident| $run:expr) => {{
        let world = Arc::clone($world);
        $registry.on(
            $name,
            |event| matches!(event, Event::$variant { .. }),
            move |envelope| {
                let $w = Arc::clone(&world);
                async move {
                    let Event::$variant { $($field,)* .. } = envelope.event else { return Ok(()) };
                    $run.await
                }
            },
        );
    }};
}

/// Registers a job.
macro_rules! job {
    ($registry:expr, $world:expr, |$w:ident, $job:ident: $kind:ty| $run:expr) => {{
        let world = Arc::clone($world);
        $registry.job(move |$job: $kind| {
            let $w = Arc::clone(&world);
            async move { $run.await }
        });
    }};
}

pub fn register(world: &Arc<World>) -> Registry {
    let mut registry = Registry::default();
    identity(&mut registry, world);
    intake(&mut registry, world);
    care(&mut registry, world);
    pharmacy(&mut registry, world);
    subscriptions(&mut registry, world);
    billing(&mut registry, world);
    communication(&mut registry, world);
    records(&mut registry, world);
    analytics(&mut registry, world);
    compliance(&mut registry, world);
    registry
}

fn identity(registry: &mut Registry, world: &Arc<World>) {
    let ending = Arc::clone(world);
    registry.scheduled("*/10 * * * *", move |job: identity::license_alerts::EndLicenses| {
        let w = Arc::clone(&ending);
        async move { identity::license_alerts::end_licenses(&w.identity, job).await.map(drop) }
    });
    job!(registry, world, |w, job: identity::registration::AnswerAsk| {
        identity::registration::answer(&w.identity, job)
    });
    let world = Arc::clone(world);
    // In the morning of the American east.
    registry.scheduled("0 13 * * *", move |job: identity::license_alerts::AlertLicenses| {
        let w = Arc::clone(&world);
        async move { identity::license_alerts::alert_licenses(&w.identity, job).await.map(drop) }
    });
}

fn intake(registry: &mut Registry, world: &Arc<World>) {
    let world = Arc::clone(world);
    // While the American continent sleeps.
    registry.scheduled("15 9 * * *", move |job: intake::SweepPhotos| {
        let w = Arc::clone(&world);
        async move { intake::sweep_photos(&w.env, &w.pg, &w.photos, job).await.map(drop) }
    });
}

fn care(registry: &mut Registry, world: &Arc<World>) {
    on!(registry, world, "care.on_response_submitted", ResponseSubmitted { response } => |w| {
        care::assess::on_response_submitted(&w.env, &w.pg, &w.sources, response)
    });
    on!(registry, world, "care.on_prescription_changed",
        PrescriptionChanged { prescription, treatment_plan, plan_version, patient, provider, status } => |w| {
        care::tasks::on_prescription_changed(
            &w.env, &w.pg, w.bridges.as_ref(),
            (prescription, treatment_plan, plan_version), (patient, provider), status,
        )
    });
    on!(registry, world, "care.on_profile_changed",
        PatientProfileChanged { patient } => |w| {
        care::tasks::on_profile_changed(&w.env, &w.pg, w.bridges.as_ref(), patient)
    });
    on!(registry, world, "care.on_treatment_plan_modified",
        TreatmentPlanModified { treatment_plan } => |w| {
        care::tasks::on_treatment_plan_modified(
            &w.env, &w.pg, w.bridges.as_ref(), treatment_plan,
        )
    });
    on!(registry, world, "care.on_pharmacy_to_be_told",
        PharmacyToBeTold { prescription, treatment_plan, patient, provider } => |w| {
        care::pharmacy_tasks::on_pharmacy_to_be_told(
            &w.env, &w.pg, &w.sources, (prescription, treatment_plan),
            (patient, provider),
        )
    });
    on!(registry, world, "care.on_fill_held",
        FillHeld { hold, patient, provider } => |w| {
        care::pharmacy_tasks::on_fill_held(
            &w.env, &w.pg, &w.sources, hold, (patient, provider),
        )
    });
    on!(registry, world, "care.on_fill_released",
        FillReleased { hold, patient, provider } => |w| {
        care::pharmacy_tasks::on_fill_released(&w.env, &w.pg, hold, (patient, provider))
    });
    on!(registry, world, "care.on_parcel_astray",
        ParcelAstray { shipment, treatment_plan, patient, provider } => |w| {
        care::pharmacy_tasks::on_parcel_astray(
            &w.env, &w.pg, &w.sources, (shipment, treatment_plan), (patient, provider),
        )
    });
    on!(registry, world, "care.on_shipment_changed",
        ShipmentChanged { shipment, patient, status } => |w| {
        care::pharmacy_tasks::on_shipment_changed(
            &w.env, &w.pg, (shipment, patient), status,
        )
    });
    on!(registry, world, "care.on_record_changed", ClinicalRecordChanged { patient } => |w| {
        care::tasks::on_record_changed(&w.env, &w.pg, patient)
    });
    on!(registry, world, "care.on_subscription_mismatched",
        SubscriptionMismatched { patient, category } => |w| {
        care::tasks::on_subscription_mismatched(&w.env, &w.pg, patient, category)
    });
    on!(registry, world, "care.complete_plan",
        PrescriptionChanged { treatment_plan, plan_version, status } => |w| {
        care::plans::on_prescription_changed(
            &w.env, &w.pg, (treatment_plan, plan_version), status,
        )
    });
    on!(registry, world, "care.on_standing_changed",
        ProviderStandingChanged { provider } => |w| {
        care::standing::on_standing_changed(&w.env, &w.pg, &w.sources, provider)
    });
    on!(registry, world, "care.on_patient_moved", PatientProfileChanged { patient } => |w| {
        care::standing::on_patient_moved(&w.env, &w.pg, &w.sources, patient)
    });
    let standing = Arc::clone(world);
    registry.scheduled("*/10 * * * *", move |job: care::standing::CheckStanding| {
        let w = Arc::clone(&standing);
        async move { care::standing::check_standing(&w.env, &w.pg, &w.sources, job).await }
    });
    let escalating = Arc::clone(world);
    registry.scheduled("* * * * *", move |job: care::information::EscalateReviews| {
        let w = Arc::clone(&escalating);
        async move {
            care::information::escalate_reviews(&w.env, &w.pg, &w.sources, job).await.map(drop)
        }
    });
    let assigning = Arc::clone(world);
    registry.scheduled("* * * * *", move |job: care::assigning::AssignReviews| {
        let w = Arc::clone(&assigning);
        async move {
            care::assigning::assign_reviews(&w.env, &w.pg, &w.sources, job).await.map(drop)
        }
    });
    job!(registry, world, |w, job: care::consultations::CreateVideoRoom| {
        care::consultations::create_video_room(&w.env, &w.pg, w.video.as_ref(), job)
    });
}

fn pharmacy(registry: &mut Registry, world: &Arc<World>) {
    use pharmacy::{dispatch, erx, prescription, shipment};

    on!(registry, world, "pharmacy.on_treatment_plan_created",
        TreatmentPlanCreated { treatment_plan, automatic } => |w| {
        prescription::write::on_treatment_plan_created(
            &w.env, &w.pg, &w.prescribing, treatment_plan, automatic,
        )
    });
    on!(registry, world, "pharmacy.on_treatment_plan_ended",
        TreatmentPlanEnded { treatment_plan, patient, category } => |w| {
        dispatch::withdraw::on_treatment_plan_ended(
            &w.env, &w.pg, treatment_plan, (patient, category),
        )
    });
    on!(registry, world, "pharmacy.on_treatment_plan_modified",
        TreatmentPlanModified { treatment_plan, patient, category, version } => |w| {
        dispatch::withdraw::on_treatment_plan_modified(
            &w.env, &w.pg, treatment_plan, (patient, category), version,
        )
    });
    on!(registry, world, "pharmacy.on_patient_handed_over",
        PatientHandedOver { patient, from, to } => |w| {
        dispatch::withdraw::on_patient_handed_over(&w.pg, patient, (from, to))
    });
    on!(registry, world, "pharmacy.on_patient_standing_changed",
        PatientStandingChanged { patient } => |w| {
        dispatch::withdraw::on_patient_standing_changed(
            &w.pg, w.bridges.as_ref(), patient,
        )
    });
    on!(registry, world, "pharmacy.on_invoice_paid",
        InvoicePaid { invoice, patient, subscription, category } => |w| {
        dispatch::handlers::on_invoice_paid(
            &w.env, &w.pg, w.bridges.as_ref(), (invoice, subscription),
            (patient, category),
        )
    });
    on!(registry, world, "pharmacy.on_prescription_changed",
        PrescriptionChanged { prescription, patient, category, status } => |w| {
        dispatch::handlers::on_prescription_changed(
            &w.env, &w.pg, prescription, patient, category, status,
        )
    });
    job!(registry, world, |w, job: erx::deliver::SendNewRx| {
        erx::deliver::send_new_rx(&w.env, &w.pg, &w.prescribing, &w.erx, job)
    });
    job!(registry, world, |w, job: dispatch::label::BuyLabel| {
        dispatch::label::buy_label(
            &w.env,
            &w.pg,
            w.carriers.as_ref(),
            w.bridges.as_ref(),
            &w.fill_checks,
            job,
        )
    });
    job!(registry, world, |w, job: dispatch::due::ReleaseFills| {
        dispatch::due::release_fills(&w.env, &w.pg, &w.fill_checks, job)
    });
    job!(registry, world, |w, job: shipment::tracking::RefreshTracking| {
        shipment::tracking::refresh_tracking(&w.env, &w.pg, w.carriers.as_ref(), job)
    });
}

fn subscriptions(registry: &mut Registry, world: &Arc<World>) {
    use subscriptions::{handlers, renewal, treatment};

    on!(registry, world, "subscriptions.on_invoice_paid",
        InvoicePaid { subscription, invoice } => |w| {
        handlers::on_invoice_paid(&w.env, &w.pg, subscription, invoice)
    });
    on!(registry, world, "subscriptions.on_payment_failed",
        PaymentFailed { subscription, invoice } => |w| {
        handlers::on_payment_failed(&w.env, &w.pg, subscription, invoice)
    });
    on!(registry, world, "subscriptions.on_subscription_started",
        SubscriptionStarted { patient, category } => |w| {
        treatment::on_subscription_started(
            &w.env, &w.pg, w.bridges.as_ref(), patient, category,
        )
    });
    on!(registry, world, "subscriptions.on_treatment_plan_ended",
        TreatmentPlanEnded { patient, category } => |w| {
        treatment::on_treatment_plan_ended(
            &w.env, &w.pg, w.bridges.as_ref(), patient, category,
        )
    });
    on!(registry, world, "subscriptions.on_treatment_plan_created",
        TreatmentPlanCreated { patient, category } => |w| {
        treatment::on_treatment_changed(&w.pg, w.bridges.as_ref(), patient, category)
    });
    on!(registry, world, "subscriptions.on_treatment_plan_modified",
        TreatmentPlanModified { patient, category } => |w| {
        treatment::on_treatment_changed(&w.pg, w.bridges.as_ref(), patient, category)
    });
    job!(registry, world, |w, job: renewal::RenewSubscription| {
        renewal::renew(&w.env, &w.pg, w.bridges.as_ref(), job)
    });
}

fn billing(registry: &mut Registry, world: &Arc<World>) {
    use billing::{charge, contest, invoicing, payment_methods, settlement, stopped, withdraw};

    on!(registry, world, "billing.on_subscription_started",
        SubscriptionStarted { subscription } => |w| {
        invoicing::on_subscription_started(&w.env, &w.pg, w.billing(), subscription)
    });
    on!(registry, world, "billing.on_subscription_period_started",
        SubscriptionPeriodStarted { subscription, period_index } => |w| {
        invoicing::on_subscription_period_started(
            &w.env, &w.pg, w.billing(), subscription, period_index,
        )
    });
    on!(registry, world, "billing.on_subscription_canceled",
        SubscriptionCanceled { subscription, patient } => |w| {
        withdraw::on_subscription_canceled(&w.env, &w.pg, subscription, patient)
    });
    on!(registry, world, "billing.paid_but_stopped",
        InvoicePaid { invoice, patient, category } => |w| {
        stopped::on_invoice_paid(
            &w.env, &w.pg, w.bridges.as_ref(), invoice, (patient, category),
        )
    });
    on!(registry, world, "billing.on_fill_held",
        FillHeld { hold, patient, category } => |w| {
        stopped::on_stopped(&w.env, &w.pg, hold.uuid(), (patient, category))
    });
    let blocked = Arc::clone(world);
    registry.on(
        "billing.on_prescription_blocked",
        |event| {
            let status = match event {
                Event::PrescriptionChanged { status, .. } => *status,
                _ => return false,
            };
            status == PrescriptionStatusWord::Blocked
        },
        move |envelope| {
            let w = Arc::clone(&blocked);
            async move {
                let Event::PrescriptionChanged { prescription, patient, category, .. } =
                    envelope.event
                else {
                    return Ok(());
                };
                let (subject, whose) = (prescription.uuid(), (patient, category));
                stopped::on_stopped(&w.env, &w.pg, subject, whose).await
            }
        },
    );
    job!(registry, world, |w, job: contest::CheckContests| {
        contest::check_contests(&w.env, &w.pg, w.gateway.as_ref(), job)
    });
    job!(registry, world, |w, job: withdraw::WithdrawInvoice| {
        withdraw::withdraw_invoice(&w.env, &w.pg, w.gateway.as_ref(), &w.retry, job)
    });
    job!(registry, world, |w, job: charge::ChargeInvoice| {
        charge::charge_invoice(&w.env, &w.pg, w.gateway.as_ref(), &w.retry, w.bridges.as_ref(), job)
    });
    job!(registry, world, |w, job: settlement::SettlePayment| {
        settlement::settle_payment(&w.env, &w.pg, w.gateway.as_ref(), &w.retry, job)
    });
    job!(registry, world, |w, job: payment_methods::DetachPaymentMethod| {
        payment_methods::detach_payment_method(&w.pg, w.gateway.as_ref(), job)
    });
    let world = Arc::clone(world);
    registry.scheduled("* * * * *", move |job: settlement::SweepPayments| {
        let w = Arc::clone(&world);
        async move { settlement::sweep_payments(&w.env, &w.pg, job).await.map(drop) }
    });
}

fn communication(registry: &mut Registry, world: &Arc<World>) {
    on!(registry, world, "communication.on_patient_handed_over",
        PatientHandedOver { patient, from, to } => |w| {
        communication::handover::on_patient_handed_over(&w.pg, patient, (from, to))
    });
    let w = Arc::clone(world);
    registry.on(
        communication::notifying::HANDLER,
        |event| !communication::notifying::news_of(event).is_empty(),
        move |envelope| {
            let w = Arc::clone(&w);
            async move { communication::notifying::notify(&w.env, &w.pg, &envelope).await }
        },
    );
    job!(registry, world, |w, job: communication::SendMail| {
        communication::mailing::send_mail(&w.env, &w.pg, w.post_office(), job)
    });
}

fn records(registry: &mut Registry, world: &Arc<World>) {
    use records::projections;

    let indexing = Arc::clone(world);
    registry.scheduled("*/10 * * * *", move |job: records::Reindex| {
        let w = Arc::clone(&indexing);
        async move { records::reindex(&w.pg, job).await.map(drop) }
    });

    on!(registry, world, "records.on_patient_profile_changed",
        PatientProfileChanged { patient } => |w| {
        projections::on_patient_profile_changed(
            &w.env, &w.pg, w.mapper.as_ref(), w.bridges.as_ref(), patient,
        )
    });
    on!(registry, world, "records.on_response_submitted",
        ResponseSubmitted { response } => |w| {
        projections::on_response_submitted(
            &w.env, &w.pg, w.bridges.as_ref(), response,
        )
    });
    on!(registry, world, "records.on_prescription_changed",
        PrescriptionChanged { prescription } => |w| {
        projections::on_prescription_changed(
            &w.env, &w.pg, w.mapper.as_ref(), w.bridges.as_ref(), prescription,
        )
    });
    on!(registry, world, "records.on_consultation_changed",
        ConsultationChanged { consultation } => |w| {
        projections::on_consultation_changed(
            &w.env, &w.pg, w.mapper.as_ref(), w.bridges.as_ref(), consultation,
        )
    });
}

fn analytics(registry: &mut Registry, world: &Arc<World>) {
    let w = Arc::clone(world);
    registry.on(analytics::projecting::HANDLER, analytics::projecting::counts, move |envelope| {
        let w = Arc::clone(&w);
        async move { analytics::projecting::project(&w.pg, w.bridges.as_ref(), &envelope).await }
    });
}

fn compliance(registry: &mut Registry, world: &Arc<World>) {
    let world = Arc::clone(world);
    registry.scheduled("45 9 * * *", move |job: compliance::retention::PurgeHistory| {
        let w = Arc::clone(&world);
        async move { compliance::retention::purge_history(&w.env, &w.pg, job).await.map(drop) }
    });
}
