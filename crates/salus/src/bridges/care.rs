use std::collections::BTreeMap;

use ::pharmacy::safety::{CuratedInteractions, Proposed, Severity};
use async_trait::async_trait;
use care::{
    AlertSeverity, AskedQuestion, Categories, CategoryTerms, ClinicalFacts, Colleague, DoseLimit,
    ExpiringLicense, IntakeReader, PatientFacts, PatientName, Prescribed, ProviderDirectory,
    SafetyAlert, SafetyChecks, Standing, SubmittedResponse, Treatment, VIDEO_VISITS, VisitCover,
    VisitCovers,
    eligibility::{AnswerKind, FormSchema},
    portal::Inbox,
    rules::FormSchemas,
    setting,
};
use chrono::{DateTime, Utc};
use identity::{License, ProviderProfile};
use intake::{FormDefinition, Item, ItemKind};
use kernel::{
    AccountId, Actor, CategoryId, Coding, FormResponseId, PatientId, Permission, ProviderId,
    TreatmentPlanId, UsState, code::system,
};
use ports::{PortError, Result};
use subscriptions::access::{Coverage, coverage};

use super::{Bridges, absent_or, crossing, pharmacy::prescribable};

#[async_trait]
impl IntakeReader for Bridges {
    async fn submitted(&self, response: FormResponseId) -> Result<Option<SubmittedResponse>> {
        let actor = Actor::system("care.assess");
        let found =
            intake::response(self.intake.as_ref(), self.panel.as_ref(), &actor, response).await;
        Ok(absent_or("a form response", found)?.map(|response| SubmittedResponse {
            id: response.id,
            patient: response.patient,
            category: response.category,
            submitted_at: response.submitted_at,
            answers: response
                .answers
                .iter()
                .map(|(link_id, answer)| (link_id.clone(), answer.to_plain()))
                .collect(),
            scores: response
                .scores
                .iter()
                .map(|(link_id, score)| (link_id.clone(), score.value.to_f64()))
                .collect(),
        }))
    }

    async fn asked(&self, response: FormResponseId) -> Result<Option<Vec<AskedQuestion>>> {
        let actor = Actor::system("care.whole_review");
        let found =
            intake::response(self.intake.as_ref(), self.panel.as_ref(), &actor, response).await;
        let Some(response) = absent_or("a form response", found)? else { return Ok(None) };
        let version =
            intake::form_version(self.intake.as_ref(), &actor, response.form_version).await;
        let version = version.map_err(|error| crossing("the form of a response", error))?;
        let told = intake::told(&version.definition, &response);
        let asked = |one: intake::Told| AskedQuestion {
            link_id: one.link_id,
            question: one.question,
            answer: one.answer,
            value: one.value,
        };
        Ok(Some(told.into_iter().map(asked).collect()))
    }
}

#[async_trait]
impl PatientFacts for Bridges {
    async fn facts(&self, patient: PatientId) -> Result<Option<ClinicalFacts>> {
        let Some(profile) = self.profile("care.assess", patient).await? else { return Ok(None) };
        let summary = records::reported::clinical_summary(
            self.records.as_ref(),
            &Actor::system("care.assess"),
            patient,
        )
        .await
        .map_err(|error| crossing("the clinical summary", error))?;
        let mut tx = self.prescriptions.begin(&Actor::system("care.assess")).await?;
        let prescribed = tx.taken_prescriptions(patient, self.env.now().date_naive()).await?;
        drop(tx);
        let prescribed = prescribed.into_iter().map(|prescription| {
            let medication = prescription.medication;
            Coding::new(system::RXNORM, medication.rxnorm.as_str(), medication.display)
        });
        Ok(Some(ClinicalFacts {
            birth_date: profile.birth_date,
            sex: profile.sex,
            state: profile.address.state,
            record_answered: summary.active_medications.is_answered()
                && summary.allergies.is_answered(),
            medications: summary
                .active_medications
                .items()
                .iter()
                .map(|medication| medication.drug.clone())
                .chain(prescribed)
                .collect(),
            allergies: summary
                .allergies
                .items()
                .iter()
                .map(|allergy| allergy.substance.clone())
                .collect(),
        }))
    }

    async fn states(&self, patients: &[PatientId]) -> Result<BTreeMap<PatientId, UsState>> {
        let found = identity::directory::patient_states(&self.identity, patients).await;
        let found = found.map_err(|error| crossing("where patients are", error))?;
        Ok(found.into_iter().collect())
    }

    async fn names(&self, patients: &[PatientId]) -> Result<BTreeMap<PatientId, PatientName>> {
        let actor = Actor::system("care.names");
        let found = identity::directory::names(&self.identity, &actor, patients)
            .await
            .map_err(|error| crossing("the names of patients", error))?;
        Ok(found
            .into_iter()
            .map(|one| (one.patient, PatientName { name: one.name, birth_date: one.birth_date }))
            .collect())
    }
}

#[async_trait]
impl ProviderDirectory for Bridges {
    async fn licensed_states(
        &self,
        provider: ProviderId,
        at: DateTime<Utc>,
    ) -> Result<Vec<UsState>> {
        let profile = self.provider(provider).await?;
        Ok(profile
            .map(|profile| licensed(&profile, at).map(|license| license.state).collect())
            .unwrap_or_default())
    }

    async fn licensed_providers(
        &self,
        state: UsState,
        at: DateTime<Utc>,
    ) -> Result<Vec<ProviderId>> {
        let actor = Actor::system("care.directory");
        let licensed =
            identity::directory::providers_licensed_in(&self.identity, &actor, state, at)
                .await
                .map_err(|error| crossing("the licensed providers", error))?;
        let mut providers: Vec<_> = licensed.into_iter().map(|found| found.provider).collect();
        providers.sort();
        Ok(providers)
    }

    async fn access_reviewers(&self) -> Result<Vec<AccountId>> {
        identity::directory::accounts_that_may(&self.identity, Permission::BreakGlassReview)
            .await
            .map_err(|error| crossing("those who judge emergency access", error))
    }

    async fn is_patient(&self, patient: PatientId) -> Result<bool> {
        let contact = identity::directory::contact(&self.identity, patient.account()).await;
        Ok(absent_or("a patient", contact)?.is_some_and(|contact| contact.is_patient))
    }

    async fn is_provider(&self, provider: ProviderId) -> Result<bool> {
        // The profile stays when the role is taken away.
        if self.provider(provider).await?.is_some() {
            return Ok(true);
        }
        identity::directory::practises(&self.identity, provider)
            .await
            .map_err(|error| crossing("a provider's account", error))
    }

    async fn colleagues(&self, state: UsState, at: DateTime<Utc>) -> Result<Vec<Colleague>> {
        let actor = Actor::system("care.directory");
        let found = identity::directory::colleagues_licensed_in(&self.identity, &actor, state, at)
            .await
            .map_err(|error| crossing("the licensed providers", error))?;
        Ok(found
            .into_iter()
            .map(|profile| Colleague {
                provider: profile.provider,
                licensed_in: licensed(&profile, at).map(|license| license.state).collect(),
                on_duty: profile.hours.as_ref().map(|hours| hours.cover(at)),
                specialities: profile.specialities,
            })
            .collect())
    }

    async fn standing(
        &self,
        provider: ProviderId,
        at: DateTime<Utc>,
        days: u32,
    ) -> Result<Standing> {
        let Some(profile) = self.provider(provider).await? else {
            return Ok(Standing::default());
        };
        let mut expiring: Vec<ExpiringLicense> = licensed(&profile, at)
            .filter_map(|license| {
                let left = license.days_left(at).filter(|left| *left <= days)?;
                Some(ExpiringLicense {
                    state: license.state,
                    expires_on: license.expires_on,
                    days_left: left,
                })
            })
            .collect();
        expiring.sort_by_key(|license| (license.expires_on, license.state));
        Ok(Standing {
            licensed_in: licensed(&profile, at).map(|license| license.state).collect(),
            zone: profile.hours.as_ref().map(|hours| hours.zone()),
            expiring,
        })
    }

    async fn at_work(
        &self,
        provider: ProviderId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<bool>> {
        let hours = self.provider(provider).await?.and_then(|profile| profile.hours);
        Ok(hours.map(|hours| hours.cover_all(from, until)))
    }
}

fn licensed(profile: &ProviderProfile, at: DateTime<Utc>) -> impl Iterator<Item = &License> {
    profile.licenses.iter().filter(move |license| license.in_force(at))
}

#[async_trait]
impl SafetyChecks for Bridges {
    async fn alerts(
        &self,
        patient: PatientId,
        treatment: &Treatment,
        replaced: Option<TreatmentPlanId>,
    ) -> Result<Vec<SafetyAlert>> {
        let mut tx = self.care.begin(&Actor::system("care.safety")).await?;
        let listed: Option<DoseLimit> =
            setting::held(tx.as_mut(), &treatment.medication.rxnorm).await?;
        drop(tx);
        let (medication, dosing) = prescribable(treatment, listed.as_ref())
            .map_err(|what| PortError::bug(format!("a proposed treatment has {what}")))?;
        let found = ::pharmacy::prescription::write::proposed_alerts(
            &self.env,
            self.prescriptions.as_ref(),
            (self, &CuratedInteractions),
            (patient, replaced),
            Proposed { medication: &medication, dosing: &dosing },
        )
        .await
        .map_err(|error| crossing("the safety check", error))?;
        let told = |alert: ::pharmacy::safety::SafetyAlert| SafetyAlert {
            kind: alert.kind.to_string(),
            severity: match alert.severity {
                Severity::High => AlertSeverity::High,
                Severity::Moderate => AlertSeverity::Moderate,
                Severity::Low => AlertSeverity::Low,
                Severity::Undefined => AlertSeverity::Undefined,
            },
            blocks: alert.blocks(),
            overridable: alert.is_overridable(),
            key: alert.key,
            summary: alert.summary,
            source: alert.source,
        };
        Ok(found.into_iter().map(told).collect())
    }
}

#[async_trait]
impl Prescribed for Bridges {
    async fn last_version(&self, plan: TreatmentPlanId) -> Result<Option<u32>> {
        let mut tx = self.fulfilment.begin(&Actor::system("care.prescribed")).await?;
        tx.last_prescribed_version(plan).await
    }
}

#[async_trait]
impl Categories for Bridges {
    async fn terms(&self, category: CategoryId) -> Result<Option<CategoryTerms>> {
        let mut tx = self.catalog.begin(&Actor::system("care.category_terms")).await?;
        let found: Option<catalog::Category> = tx.find(category).await?;
        Ok(found.map(|found| found.configuration).map(|asked| CategoryTerms {
            visit: asked.required_modality == catalog::Modality::Video,
            minimum_age: asked.minimum_age.into(),
            maximum_age: asked.maximum_age.map(Into::into),
        }))
    }
}

#[async_trait]
impl VisitCovers for Bridges {
    async fn video_visits(
        &self,
        patient: PatientId,
        category: Option<CategoryId>,
    ) -> Result<VisitCover> {
        if let Some(category) = category
            && self.terms(category).await?.is_none()
        {
            return Ok(VisitCover::NoSuchCategory);
        }
        let feature = VIDEO_VISITS
            .parse()
            .map_err(|error| PortError::internal("the feature of video visits", error))?;
        let store = self.subscriptions.as_ref();
        let found = coverage(&self.env, store, self, patient, &feature, category).await?;
        Ok(match found {
            Coverage::Included => VisitCover::Included,
            Coverage::NotIncluded => VisitCover::NotIncluded,
            Coverage::NotSold => VisitCover::NotSold,
        })
    }
}

#[async_trait]
impl Inbox for Bridges {
    async fn unread(&self, provider: ProviderId) -> Result<u64> {
        let mut tx = self.communication.begin(&Actor::system("care.dashboard")).await?;
        tx.unread_messages(provider.account()).await
    }
}

#[async_trait]
impl FormSchemas for Bridges {
    async fn schema(&self, category: CategoryId) -> Result<Option<FormSchema>> {
        let actor = Actor::system("care.rules");
        let found = intake::current_form(self.intake.as_ref(), self, &actor, category).await;
        Ok(absent_or("a form", found)?.map(|form| schema_of(&form.definition)))
    }
}

/// What a form gives to rules: the answers and scores that a submitted
/// response has, as `submitted` passes them on.
pub fn schema_of(definition: &FormDefinition) -> FormSchema {
    let mut schema = FormSchema::default();
    for (item, _) in definition.walk() {
        match (&item.kind, kind_of(item)) {
            (ItemKind::Calculated { .. }, _) => {
                schema.scores.insert(item.link_id.clone());
            }
            (_, Some(kind)) => {
                schema.answers.insert(item.link_id.clone(), kind);
            }
            (_, None) => {}
        }
    }
    schema
}

/// What the answer of an item is to a rule, where it takes one.
fn kind_of(item: &Item) -> Option<AnswerKind> {
    let codes = || item.options().iter().map(|option| option.code.clone()).collect();
    Some(match &item.kind {
        ItemKind::Text { repeats: false, .. } => AnswerKind::Text,
        ItemKind::Text { repeats: true, .. } => AnswerKind::Texts,
        ItemKind::Number { .. } => AnswerKind::Number,
        ItemKind::Date { .. } => AnswerKind::Date,
        ItemKind::SingleChoice { .. } => AnswerKind::Choice(codes()),
        ItemKind::MultipleChoice { .. } => AnswerKind::Choices(codes()),
        ItemKind::Boolean { .. } => AnswerKind::Boolean,
        ItemKind::Scale { .. } => AnswerKind::Scale,
        ItemKind::Photo { .. } => AnswerKind::Files,
        ItemKind::RepeatingGroup { items, .. } => AnswerKind::Rows(columns(items)),
        ItemKind::Display | ItemKind::Group { .. } | ItemKind::Calculated { .. } => return None,
    })
}

/// The columns of a repeating group, those within groups of it included.
fn columns(items: &[Item]) -> BTreeMap<String, AnswerKind> {
    let mut columns = BTreeMap::new();
    for item in items {
        columns.extend(self::columns(item.children()));
        columns.extend(kind_of(item).map(|kind| (item.link_id.clone(), kind)));
    }
    columns
}
