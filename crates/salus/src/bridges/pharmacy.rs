use ::pharmacy::{
    fulfilment::{DeliveryAddress, DeliveryAddresses, PaidPeriods},
    prescription::{
        Amount, Diagnosis, Dosing, Medication, PatientDetails, Patients, PlannedTreatment,
        PrescriberDetails, Prescribers, StateLicense, TreatmentPlans, administer::Pharmacists,
        schedule_of,
    },
    safety::{AllergyCategory, ClinicalFacts, ClinicalRecord, RecordedAllergy, RecordedMedication},
};
use async_trait::async_trait;
use care::{DoseLimit, PlanStatus, TreatmentPlan, setting};
use identity::LicenseStatus;
use kernel::{
    AccountId, Actor, CoveredTreatment, PatientId, ProviderId, QuantityUnit, SubscriptionId,
    TreatmentPlanId,
};
use ports::{PortError, Result};
use records::clinical;

use super::{Bridges, crossing};

#[async_trait]
impl TreatmentPlans for Bridges {
    async fn treatment(&self, plan: TreatmentPlanId) -> Result<Option<PlannedTreatment>> {
        let mut tx = self.care.begin(&Actor::system("pharmacy.treatment")).await?;
        let found: Option<TreatmentPlan> = tx.find(plan).await?;
        let Some(plan) = found else { return Ok(None) };
        let treatment = &plan.current().treatment;
        let listed: Option<DoseLimit> =
            setting::held(tx.as_mut(), &treatment.medication.rxnorm).await?;
        let listed = listed.filter(|drug| drug.lists(&treatment.medication));
        let (medication, dosing) = prescribable(treatment, listed.as_ref())
            .map_err(|what| PortError::bug(format!("the treatment plan {} has {what}", plan.id)))?;
        Ok(Some(PlannedTreatment {
            id: plan.id,
            version: plan.current().number,
            patient: plan.patient,
            provider: plan.provider,
            category: plan.category,
            active: plan.status == PlanStatus::Active,
            on_formulary: listed.is_some(),
            medication,
            dosing,
            diagnosis: Diagnosis {
                code: treatment.diagnosis.clone(),
                display: treatment.diagnosis.to_string(),
            },
        }))
    }
}

/// A treatment in the pharmacy's words, or what keeps it from being prescribed.
/// `listed` is what the formulary says of exactly this drug.
pub fn prescribable(
    treatment: &care::Treatment,
    listed: Option<&care::DoseLimit>,
) -> std::result::Result<(Medication, Dosing), &'static str> {
    let listed = listed.filter(|drug| drug.lists(&treatment.medication));
    let medication = Medication {
        rxnorm: treatment.medication.rxnorm.clone(),
        ndc: treatment.medication.ndc.clone(),
        display: treatment.medication.display.clone(),
        // What is not listed is not signed, whatever its strength.
        strength: listed.map(|drug| drug.strength.clone()).unwrap_or_default(),
        // What the formulary takes for free may be controlled all the same.
        schedule: listed
            .map(|drug| drug.schedule)
            .filter(|schedule| schedule.is_controlled())
            .unwrap_or_else(|| schedule_of(&treatment.medication.display)),
    };
    let dosing = Dosing {
        sig: treatment.sig.clone(),
        quantity: Amount::whole(treatment.quantity)
            .map_err(|_| "a quantity that cannot be prescribed")?,
        unit: QuantityUnit::from_word(&treatment.quantity_unit)
            .ok_or("a unit that cannot be prescribed")?,
        days_supply: u16::try_from(treatment.duration_days).map_err(|_| "too long a supply")?,
        refills: u8::try_from(treatment.refills).map_err(|_| "too many refills")?,
    };
    Ok((medication, dosing))
}

#[async_trait]
impl Prescribers for Bridges {
    async fn prescriber(&self, provider: ProviderId) -> Result<Option<PrescriberDetails>> {
        Ok(self.provider(provider).await?.map(|profile| PrescriberDetails {
            provider: profile.provider,
            name: profile.name,
            // The network knows a prescriber by an identifier that starts with
            // the NPI and ends with the number of the location.
            spi: Some(format!("{}001", profile.npi)),
            npi: Some(profile.npi),
            dea: profile.dea,
            licenses: profile
                .licenses
                .into_iter()
                .map(|license| StateLicense {
                    state: license.state,
                    number: license.number,
                    expires_on: license.expires_on,
                    active: license.status == LicenseStatus::Active,
                })
                .collect(),
            address: Some(self.practice.address()),
            phone: self.practice.phone.parse().ok(),
        }))
    }
}

#[async_trait]
impl Patients for Bridges {
    async fn details(&self, patient: PatientId) -> Result<Option<PatientDetails>> {
        Ok(self.profile("pharmacy.patient", patient).await?.map(|profile| PatientDetails {
            patient: profile.patient,
            name: Some(profile.name),
            birth_date: Some(profile.birth_date),
            sex: Some(profile.sex),
            address: Some(profile.address),
            phone: Some(profile.phone),
        }))
    }
}

#[async_trait]
impl DeliveryAddresses for Bridges {
    async fn delivery_address(&self, patient: PatientId) -> Result<Option<DeliveryAddress>> {
        Ok(self.profile("pharmacy.delivery", patient).await?.map(|profile| DeliveryAddress {
            name: profile.name,
            address: profile.address,
            phone: Some(profile.phone),
        }))
    }
}

#[async_trait]
impl PaidPeriods for Bridges {
    async fn months(&self, subscription: SubscriptionId) -> Result<Option<u32>> {
        let found = self.subscription("pharmacy.paid_period", subscription).await?;
        Ok(found.map(|subscription| subscription.interval.months()))
    }

    async fn sold(&self, subscription: SubscriptionId) -> Result<Vec<CoveredTreatment>> {
        let found = self.subscription("pharmacy.sold", subscription).await?;
        Ok(found.map(|subscription| subscription.covers).unwrap_or_default())
    }
}

#[async_trait]
impl Pharmacists for Bridges {
    async fn is_pharmacist(&self, account: AccountId) -> Result<bool> {
        identity::directory::dispenses(&self.identity, account)
            .await
            .map_err(|error| crossing("an account", error))
    }
}

#[async_trait]
impl ClinicalRecord for Bridges {
    async fn facts(&self, patient: PatientId) -> Result<ClinicalFacts> {
        let summary = records::reported::clinical_summary(
            self.records.as_ref(),
            &Actor::system("pharmacy.safety"),
            patient,
        )
        .await
        .map_err(|error| crossing("the clinical summary", error))?;
        let mut tx = self.care.begin(&Actor::system("pharmacy.safety")).await?;
        let assessments = tx.assessments(patient).await?;
        drop(tx);
        let pregnant = care::assessment::pregnancy(&assessments, self.env.now());
        let affirmed = care::assessment::affirmed(&assessments);
        Ok(ClinicalFacts {
            medications: summary
                .active_medications
                .items()
                .iter()
                .map(|medication| RecordedMedication {
                    rxnorm: medication.drug.code.parse().ok(),
                    display: medication.drug.display.clone(),
                    prescribed: false,
                })
                .collect(),
            allergies: summary
                .allergies
                .items()
                .iter()
                .map(|allergy| RecordedAllergy {
                    codings: vec![allergy.substance.clone()],
                    display: allergy.substance.display.clone(),
                    categories: vec![category(allergy.category)],
                })
                .collect(),
            pregnant,
            affirmed,
            medications_unasked: !summary.active_medications.is_answered(),
            allergies_unasked: !summary.allergies.is_answered(),
        })
    }
}

fn category(category: clinical::AllergyCategory) -> AllergyCategory {
    match category {
        clinical::AllergyCategory::Food => AllergyCategory::Food,
        clinical::AllergyCategory::Medication => AllergyCategory::Medication,
        clinical::AllergyCategory::Environment => AllergyCategory::Environment,
        clinical::AllergyCategory::Biologic => AllergyCategory::Biologic,
    }
}
