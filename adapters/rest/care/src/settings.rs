//! What administrators set for the clinic: the formulary, the default treatment
//! of a category, and what a state allows.

use std::sync::Arc;

use api::{Answer, Body, Caller, Mirror, Result, Tag, Text, Versioned, entity_tag};
use care::{CareError, CareStore, Categories, DoseLimit, Modality, Protocol, StatePolicy, setting};
use kernel::{
    CategoryId, DeaSchedule, FieldError, Permission, RxNorm, Seen, UsState,
    text::{DrugCode, DrugDescription, PackageCode, Reference, Strength, ToConfirm, UnitOfMeasure},
};
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Header, Path},
    payload::Json,
};

use super::{dosing::drug, plans::seen_or, treatment::TreatmentBody};

pub struct SettingsApi {
    pub store: Arc<dyn CareStore>,
    pub categories: Arc<dyn Categories>,
}

/// The schedule of a controlled substance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[oai(rename_all = "UPPERCASE", remote = "DeaSchedule")]
pub enum DeaScheduleWord {
    /// Not a controlled substance.
    None,
    Ii,
    Iii,
    Iv,
    V,
}

/// A drug of the formulary.
#[derive(Debug, Object, Mirror)]
#[mirror(from = DoseLimit)]
#[oai(example)]
pub struct FormularyDrugBody {
    /// The drug in words; treatments name it so.
    pub display: Text<DrugDescription>,
    /// The strength of one unit, as in `50 MG`; empty for an ingredient, which
    /// comes in no package.
    pub strength: Text<Strength>,
    pub schedule: DeaScheduleWord,
    /// The largest dose at a time.
    pub max_single: f64,
    /// The largest dose in a day.
    pub max_daily: f64,
    /// The most of it in a week, for what is taken less often than daily.
    pub max_weekly: Option<f64>,
    /// The UCUM unit of the doses.
    pub unit: Text<UnitOfMeasure>,
    /// Where the largest doses are written.
    pub reference: Text<Reference>,
    /// The NDCs, with eleven digits or as printed with hyphens, of the packages
    /// that may be dispensed for it. Without one it is not prescribed.
    pub ndcs: Vec<Text<PackageCode>>,
    /// What of this entry no source has confirmed; a pharmacist looks it up
    /// before the entry is used on patients, and takes this away.
    pub to_confirm: Option<Text<ToConfirm>>,
    /// The RxNorm concept of the next step, where this is one of the steps of a
    /// titration: with its last fill the plan stays, and its provider has a task.
    pub followed_by: Option<Text<DrugCode>>,
}

api::example!(FormularyDrugBody {
    display: "sertraline 50 MG Oral Tablet".into(),
    strength: "50 MG".into(),
    schedule: DeaScheduleWord::None,
    max_single: 200.0,
    max_daily: 200.0,
    max_weekly: None,
    unit: "mg".into(),
    reference: "Prescribing information of sertraline tablets, section 2".into(),
    ndcs: vec!["16714061201".into()],
    to_confirm: None,
    followed_by: None,
});

/// A drug of the formulary in its list.
#[derive(Debug, Object)]
pub struct FormularyDrugView {
    /// The RxNorm concept.
    pub rxnorm: String,
    pub drug: FormularyDrugBody,
    /// The version, to send back as `If-Match`.
    pub version: i64,
}

/// The formulary.
#[derive(Debug, Object)]
pub struct FormularyView {
    /// By RxNorm concept.
    pub drugs: Vec<FormularyDrugView>,
}

impl FormularyDrugBody {
    fn parse(self, rxnorm: RxNorm) -> Result<DoseLimit> {
        let ndcs = self.ndcs.iter().map(|ndc| ndc.ndc("ndcs")).collect::<Result<_, _>>()?;
        let followed_by = self.followed_by.map(|drug| drug.read("followed_by")).transpose()?;
        Ok(DoseLimit {
            rxnorm,
            display: self.display.into(),
            max_single: self.max_single,
            max_daily: self.max_daily,
            max_weekly: self.max_weekly,
            unit: self.unit.into(),
            reference: self.reference.into(),
            strength: self.strength.into(),
            schedule: self.schedule.into(),
            ndcs,
            to_confirm: self.to_confirm.map(Into::into),
            followed_by,
        })
    }
}

/// The treatment with which a category begins.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Protocol)]
#[oai(example)]
pub struct ProtocolBody {
    pub treatment: TreatmentBody,
}

api::example!(ProtocolBody { treatment: TreatmentBody::example() });

/// What a state allows.
#[derive(Debug, Object, Mirror)]
#[mirror(from = StatePolicy)]
#[oai(example)]
pub struct StatePolicyBody {
    pub modality: Modality,
}

api::example!(StatePolicyBody { modality: Modality::Asynchronous });

/// What a state allows with its version as the entity tag.
#[derive(ApiResponse)]
pub enum StatePolicyFound {
    /// What the state allows.
    #[oai(status = 200)]
    Found(
        Json<StatePolicyBody>,
        /// The version, to send back as `If-Match`; absent where nothing was set
        /// and the defaults hold.
        #[oai(header = "ETag")]
        Option<String>,
    ),
}

fn state(text: &str) -> Result<UsState, CareError> {
    let invalid = || FieldError::new("state", "invalid", "Two letters, as in MA.");
    text.parse().map_err(|_| CareError::Invalid(vec![invalid()]))
}

#[OpenApi(tag = "Tag::Care")]
impl SettingsApi {
    /// List the formulary
    ///
    /// Takes `rule.administer` or `treatment.write`. The drugs that can be prescribed, with their
    /// largest doses and the packages that are dispensed for them.
    #[oai(path = "/api/admin/formulary", method = "get", operation_id = "listFormulary")]
    async fn formulary(&self, caller: Caller) -> Answer<FormularyView> {
        let found = setting::formulary(&*self.store, caller.actor()).await?;
        let view = |(drug, version): (DoseLimit, i64)| FormularyDrugView {
            rxnorm: drug.rxnorm.to_string(),
            drug: drug.into(),
            version,
        };
        Ok(Json(FormularyView { drugs: found.into_iter().map(view).collect() }))
    }

    /// Read a drug of the formulary
    ///
    /// Takes `rule.administer` or `treatment.write`.
    #[oai(path = "/api/admin/formulary/:rxnorm", method = "get", operation_id = "getFormularyDrug")]
    async fn drug(
        &self,
        caller: Caller,
        rxnorm: Path<String>,
    ) -> Result<Versioned<FormularyDrugBody>> {
        setting::may_read(caller.actor())?;
        let concept = drug(&rxnorm.0)?;
        let (found, version) = setting::drug(&*self.store, caller.actor(), &concept).await?;
        Ok(Versioned::at(version, found))
    }

    /// Set a drug of the formulary
    ///
    /// Takes `rule.administer`. A treatment is held against it when it is
    /// written, and a prescription when it is signed: the concept, the name and
    /// the package have to be this drug. `If-Match` names the version that is
    /// replaced and is left out for a drug that is not there yet; else the
    /// answer is 412 and names what is different now.
    #[oai(path = "/api/admin/formulary/:rxnorm", method = "put", operation_id = "setFormularyDrug")]
    async fn set_drug(
        &self,
        caller: Caller,
        rxnorm: Path<String>,
        /// The version that is replaced.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<FormularyDrugBody>,
    ) -> Result<Versioned<FormularyDrugBody>> {
        let (store, actor) = (&*self.store, caller.actor());
        let listed = body.0.parse(drug(&rxnorm.0)?)?;
        let seen = seen_or(&if_match, Seen::from(0))?;
        let version = setting::set_drug(store, actor, &listed, &seen).await?;
        Ok(Versioned::at(version, listed))
    }

    /// Read the default treatment of a category
    ///
    /// Takes `rule.administer` or `treatment.write`.
    #[oai(
        path = "/api/admin/categories/:id/default-treatment",
        method = "get",
        operation_id = "getDefaultTreatment"
    )]
    async fn protocol(
        &self,
        caller: Caller,
        id: Path<CategoryId>,
    ) -> Result<Versioned<ProtocolBody>> {
        let (found, version) = setting::protocol(&*self.store, caller.actor(), id.0).await?;
        Ok(Versioned::at(version, found))
    }

    /// Set the default treatment of a category
    ///
    /// Takes `rule.administer`. An approval that names no treatment begins with
    /// it. It is one of the formulary and within its largest doses, and names
    /// nothing of one patient. A category that does not exist is 404. `If-Match`
    /// is as with the formulary.
    #[oai(
        path = "/api/admin/categories/:id/default-treatment",
        method = "put",
        operation_id = "setDefaultTreatment"
    )]
    async fn set_protocol(
        &self,
        caller: Caller,
        id: Path<CategoryId>,
        /// The version that is replaced.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<ProtocolBody>,
    ) -> Result<Versioned<ProtocolBody>> {
        let (store, actor) = (&*self.store, caller.actor());
        let protocol = Protocol { category: id.0, treatment: body.0.treatment.parse()? };
        let (seen, categories) = (seen_or(&if_match, Seen::from(0))?, &*self.categories);
        let version = setting::set_protocol(store, categories, actor, &protocol, &seen).await?;
        Ok(Versioned::at(version, protocol))
    }

    /// Read what a state allows
    ///
    /// Takes `rule.administer`. Where nothing was set, provider and patient
    /// have to meet by video. The allowlist of automatic approvals is read by an
    /// operation of its own.
    #[oai(
        path = "/api/admin/states/:state/policy",
        method = "get",
        operation_id = "getStatePolicy"
    )]
    async fn policy(
        &self,
        caller: Caller,
        /// The two letters of the state.
        #[oai(name = "state")]
        code: Path<String>,
    ) -> Result<StatePolicyFound> {
        caller.actor().require(Permission::RuleAdminister).map_err(CareError::from)?;
        let state = state(&code.0)?;
        let (policy, version) = setting::state_policy(&*self.store, caller.actor(), state).await?;
        Ok(StatePolicyFound::Found(Json(policy.into()), version.map(entity_tag)))
    }

    /// Set what a state allows
    ///
    /// Takes `rule.administer`. `If-Match` is as with the formulary.
    #[oai(
        path = "/api/admin/states/:state/policy",
        method = "put",
        operation_id = "setStatePolicy"
    )]
    async fn set_policy(
        &self,
        caller: Caller,
        /// The two letters of the state.
        #[oai(name = "state")]
        code: Path<String>,
        /// The version that is replaced.
        #[oai(name = "If-Match")]
        if_match: Header<Option<String>>,
        body: Body<StatePolicyBody>,
    ) -> Result<StatePolicyFound> {
        let (store, actor) = (&*self.store, caller.actor());
        let policy = StatePolicy { state: state(&code.0)?, modality: body.0.modality };
        let seen = seen_or(&if_match, Seen::from(0))?;
        let version = setting::set_state_policy(store, actor, &policy, &seen).await?;
        Ok(StatePolicyFound::Found(Json(policy.into()), Some(entity_tag(version))))
    }
}
