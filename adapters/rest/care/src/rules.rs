//! Administering eligibility rules and the allowlist of automatic approvals.

use std::sync::Arc;

use api::{
    Answer, Body, Caller, Created, Example, IfMatch, Mirror, PageQuery, ProblemField, Result, Tag,
    Text, Versioned,
};
use care::{
    CareStore, Priority, Rule, Severity,
    eligibility::{RuleSet, RuleSetContent, RuleSetStatus, Scope},
    rules::{self, Change, FormSchemas, NewRuleSet, RuleSetQuery, Simulation},
};
use chrono::{DateTime, Utc};
use kernel::{
    AssessmentId, CategoryId, Page, RuleSetId, RxNorm, UsState, Uuid,
    text::{DrugCode, RuleDescription, RuleReason, RuleSetNote, RuleWord, StateCode},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use ports::{Env, events::AssessmentOutcome};

pub struct RulesApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub forms: Arc<dyn FormSchemas>,
}

/// An eligibility rule: an expression in CEL that is true when the rule fires.
#[derive(Clone, Debug, Object)]
#[oai(remote = "Rule", rename = "EligibilityRule")]
pub struct RuleBody {
    /// Unique in its set; in a narrower scope it takes the place of the wider
    /// rule with this id.
    pub id: Text<RuleWord>,
    pub description: Text<RuleDescription>,
    /// What it does when it fires.
    pub severity: Severity,
    /// Over `answers` and `scores` by link id, `patient` (`age`, `sex`,
    /// `state`), and the lists `medications` and `allergies` of `system`,
    /// `code` and `display`. A rule that cannot be evaluated for a patient,
    /// as for want of an answer, asks for a provider.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub expression: String,
    /// A stable word for the reason.
    pub reason_code: Text<RuleWord>,
    /// The reason as the patient reads it.
    pub reason_text: Text<RuleReason>,
    /// A patient for whom it fires is seen first, and a task is raised.
    #[oai(default)]
    pub urgent: bool,
}

/// A new draft of a rule set.
#[derive(Debug, Object)]
#[oai(rename = "NewRuleSet", example)]
pub struct NewRuleSetRequest {
    pub category_id: CategoryId,
    /// The postal code of the state that it holds in; every state without one.
    pub state: Option<Text<StateCode>>,
    /// The RxNorm code of the drug that it holds for; every drug without one.
    pub rxnorm: Option<Text<DrugCode>>,
    #[oai(flatten)]
    pub content: RuleSetChangeRequest,
}

api::example!(NewRuleSetRequest {
    category_id: Uuid::from_u128(0x5a1c_0001_0000_4000_8000_0000_0000_0001).into(),
    state: Some("TX".into()),
    rxnorm: None,
    content: RuleSetChangeRequest {
        note: Some("Texas asks for a look from 60 on.".into()),
        ..Example::example()
    },
});

fn example_rule() -> RuleBody {
    RuleBody {
        id: "over_65".into(),
        description: "Patients over 60.".into(),
        severity: Severity::Review,
        expression: "patient.age > 60".into(),
        reason_code: "over_60".into(),
        reason_text: "A provider looks at every request of people over 60.".into(),
        urgent: false,
    }
}

/// A draft as it is to be from now on.
#[derive(Debug, Object, Mirror)]
#[mirror(into = RuleSetContent)]
#[oai(rename = "RuleSetChange", example)]
pub struct RuleSetChangeRequest {
    #[oai(validator(min_items = 1, max_items = 200))]
    pub rules: Vec<RuleBody>,
    /// What the version is for.
    pub note: Option<Text<RuleSetNote>>,
    /// The version in force whose changes the draft has taken in; without it the
    /// one in force now for a new draft, and else the one before.
    pub based_on: Option<RuleSetId>,
}

api::example!(RuleSetChangeRequest { rules: vec![example_rule()], note: None, based_on: None });

/// One version of the rules of a category and scope.
#[derive(Debug, Object, Mirror)]
#[mirror(from = RuleSet)]
#[oai(rename = "RuleSet")]
pub struct RuleSetView {
    pub id: RuleSetId,
    pub category_id: CategoryId,
    /// The postal code; every state without one.
    #[mirror(scope.state)]
    pub state: Option<String>,
    /// The RxNorm code of the drug; every drug without one.
    #[mirror(scope.drug)]
    pub rxnorm: Option<String>,
    /// Counts up within category and scope.
    #[mirror(number)]
    pub version: i32,
    pub status: RuleSetStatus,
    pub rules: Vec<RuleBody>,
    pub note: Option<String>,
    pub based_on: Option<RuleSetId>,
    /// Counts the changes; it is the `ETag` too.
    #[mirror(version)]
    pub revision: i64,
    pub created_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    /// When it last came into force.
    pub published_at: Option<DateTime<Utc>>,
}

/// Rule sets, the latest first.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Page<RuleSet>)]
#[oai(rename = "RuleSets")]
pub struct RuleSetsView {
    #[mirror(items)]
    pub rule_sets: Vec<RuleSetView>,
    /// The `cursor` of the next page; absent on the last one.
    pub next: Option<String>,
}

/// Whether a rule set could be published now.
#[derive(Debug, Object)]
#[oai(rename = "RuleSetFindings")]
pub struct RuleSetFindingsView {
    pub valid: bool,
    /// Everything that stands against it.
    pub errors: Vec<ProblemField>,
}

/// How many go from one outcome to another.
#[derive(Debug, Object)]
#[oai(rename = "SimulatedOutcome")]
pub struct SimulatedOutcomeView {
    /// By the rules in force.
    pub from: String,
    /// By the simulated ones.
    pub to: String,
    pub count: u32,
}

/// For how many a rule fires.
#[derive(Debug, Object)]
#[oai(rename = "SimulatedRule")]
pub struct SimulatedRuleView {
    pub rule: String,
    /// By the rules in force.
    pub before: u32,
    /// By the simulated ones.
    pub after: u32,
}

/// An assessment that would come out otherwise.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Change)]
#[oai(rename = "SimulatedChange")]
pub struct SimulatedChangeView {
    pub assessment_id: AssessmentId,
    #[mirror(from.0)]
    pub from: AssessmentOutcome,
    #[mirror(from.1)]
    pub from_priority: Priority,
    #[mirror(to.0)]
    pub to: AssessmentOutcome,
    #[mirror(to.1)]
    pub to_priority: Priority,
}

/// What a rule set would change.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Simulation)]
#[oai(rename = "RuleSimulation")]
pub struct SimulationView {
    /// How many past assessments were decided again.
    pub examined: u32,
    #[mirror(|simulation| u32::try_from(simulation.changes.len()).unwrap_or(u32::MAX))]
    pub changed: u32,
    #[mirror(|simulation| outcomes(simulation))]
    pub outcomes: Vec<SimulatedOutcomeView>,
    #[mirror(|simulation| fired(simulation))]
    pub rules: Vec<SimulatedRuleView>,
    pub changes: Vec<SimulatedChangeView>,
    /// The `after` of the next call; absent when all were examined.
    pub next: Option<AssessmentId>,
}

fn outcomes(simulation: &Simulation) -> Vec<SimulatedOutcomeView> {
    let view = |((from, to), count): (&(&str, &str), &u32)| SimulatedOutcomeView {
        from: (*from).to_owned(),
        to: (*to).to_owned(),
        count: *count,
    };
    simulation.outcomes.iter().map(view).collect()
}

fn fired(simulation: &Simulation) -> Vec<SimulatedRuleView> {
    let view = |(rule, (before, after)): (&String, &(u32, u32))| SimulatedRuleView {
        rule: rule.clone(),
        before: *before,
        after: *after,
    };
    simulation.fired.iter().map(view).collect()
}

/// A drug that may be approved automatically in a state.
#[derive(Clone, Debug, Object)]
#[oai(rename = "AutoApproval")]
pub struct AutoApprovalView {
    /// The postal code.
    pub state: String,
    /// The RxNorm code of the drug.
    pub rxnorm: String,
}

/// The allowlist.
#[derive(Debug, Object)]
#[oai(rename = "AutoApprovals")]
pub struct AutoApprovalsView {
    pub auto_approvals: Vec<AutoApprovalView>,
}

/// Whether a drug may be approved automatically in a state.
#[derive(Debug, Object)]
#[oai(rename = "AutoApprovalChange", example)]
pub struct AutoApprovalChange {
    /// The postal code.
    pub state: Text<StateCode>,
    /// The RxNorm code of the drug.
    pub rxnorm: Text<DrugCode>,
    pub allowed: bool,
}

api::example!(AutoApprovalChange { state: "MA".into(), rxnorm: "200172".into(), allowed: true });

#[OpenApi(tag = "Tag::Care")]
impl RulesApi {
    /// List rule sets
    ///
    /// Takes `rule.administer`. Every version, the latest first.
    #[oai(path = "/api/admin/rule-sets", method = "get", operation_id = "listRuleSets")]
    async fn list(
        &self,
        caller: Caller,
        /// Only those of this category.
        category_id: Query<Option<CategoryId>>,
        /// Only those that stand like this.
        status: Query<Option<RuleSetStatus>>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<RuleSetsView> {
        let query = RuleSetQuery {
            category: category_id.0,
            status: status.0,
            page: PageQuery::read(limit, cursor)?,
        };
        Ok(Json(rules::list(&*self.store, caller.actor(), &query).await?.into()))
    }

    /// Draft a rule set
    ///
    /// Takes `rule.administer`. The draft decides nothing until it is
    /// published. With a state or a drug its rules are added to the
    /// category's own, and take the place of those with the same id.
    #[oai(path = "/api/admin/rule-sets", method = "post", operation_id = "draftRuleSet")]
    async fn draft(
        &self,
        caller: Caller,
        body: Body<NewRuleSetRequest>,
    ) -> Result<Created<RuleSetView>> {
        let body = body.0;
        let scope = Scope {
            state: body.state.map(|state| state.read("state")).transpose()?,
            drug: body.rxnorm.map(|drug| drug.read("rxnorm")).transpose()?,
        };
        let new = NewRuleSet { category: body.category_id, scope, content: body.content.into() };
        let (store, forms) = (&*self.store, &*self.forms);
        let set = rules::draft(&self.env, store, forms, caller.actor(), new).await?;
        Ok(Created::under("/api/admin/rule-sets", set))
    }

    /// Read a rule set
    ///
    /// Takes `rule.administer`.
    #[oai(path = "/api/admin/rule-sets/:id", method = "get", operation_id = "getRuleSet")]
    async fn one(&self, caller: Caller, id: Path<RuleSetId>) -> Result<Versioned<RuleSetView>> {
        Ok(Versioned::of(rules::one(&*self.store, caller.actor(), id.0).await?))
    }

    /// Change a draft of a rule set
    ///
    /// Takes `rule.administer`. `If-Match` names the revision that was read;
    /// when the draft has changed since, the answer is 412. A version that was
    /// published never changes.
    #[oai(path = "/api/admin/rule-sets/:id", method = "put", operation_id = "changeRuleSet")]
    async fn change(
        &self,
        caller: Caller,
        id: Path<RuleSetId>,
        #[oai(name = "If-Match")] seen: IfMatch,
        body: Body<RuleSetChangeRequest>,
    ) -> Result<Versioned<RuleSetView>> {
        let (store, content) = (&*self.store, body.0.into());
        let set = rules::revise(&self.env, store, caller.actor(), id.0, &seen.0, content).await?;
        Ok(Versioned::of(set))
    }

    /// Check a rule set
    ///
    /// Takes `rule.administer`. Holds every rule against the published form of
    /// the category, and changes nothing.
    #[oai(
        path = "/api/admin/rule-sets/:id/validate",
        method = "post",
        operation_id = "validateRuleSet"
    )]
    async fn validate(&self, caller: Caller, id: Path<RuleSetId>) -> Answer<RuleSetFindingsView> {
        let (store, forms) = (&*self.store, &*self.forms);
        let errors = rules::validate(store, forms, caller.actor(), id.0).await?;
        let errors: Vec<ProblemField> = errors.into_iter().map(Into::into).collect();
        Ok(Json(RuleSetFindingsView { valid: errors.is_empty(), errors }))
    }

    /// Publish a rule set
    ///
    /// Takes `rule.administer`. It decides from now on in its category and
    /// scope; the version before it is retired. Publishing a retired version
    /// rolls back to it. 422 names every rule that does not fit the published
    /// form; 409 says when another version was published since the draft was
    /// made; 412 when the draft itself changed since it was read.
    #[oai(
        path = "/api/admin/rule-sets/:id/publish",
        method = "post",
        operation_id = "publishRuleSet"
    )]
    async fn publish(
        &self,
        caller: Caller,
        id: Path<RuleSetId>,
        #[oai(name = "If-Match")] seen: IfMatch,
    ) -> Result<Versioned<RuleSetView>> {
        let (store, forms) = (&*self.store, &*self.forms);
        let set = rules::publish(&self.env, store, forms, caller.actor(), id.0, &seen.0).await?;
        Ok(Versioned::of(set))
    }

    /// Simulate a rule set
    ///
    /// Takes `rule.administer`. Decides past assessments of the category once
    /// by the rules in force and once with this set in the place of its scope,
    /// the latest first, and tells what would change: ids and counts, and
    /// nothing that was answered.
    #[oai(
        path = "/api/admin/rule-sets/:id/simulation",
        method = "get",
        operation_id = "simulateRuleSet"
    )]
    async fn simulate(
        &self,
        caller: Caller,
        id: Path<RuleSetId>,
        /// At most this many assessments, up to 1,000; 200 without it.
        limit: Query<Option<u32>>,
        /// What the call before gave as `next`.
        after: Query<Option<AssessmentId>>,
    ) -> Answer<SimulationView> {
        let (after, limit) = (after.0, limit.0.unwrap_or(200));
        let simulation = rules::simulate(&*self.store, caller.actor(), id.0, after, limit).await?;
        Ok(Json(simulation.into()))
    }

    /// List automatic approvals
    ///
    /// Takes `rule.administer`. The drugs that may be approved under protocol,
    /// by state.
    #[oai(path = "/api/admin/auto-approvals", method = "get", operation_id = "listAutoApprovals")]
    async fn auto_approvals(&self, caller: Caller) -> Answer<AutoApprovalsView> {
        let allowed = rules::auto_approvals(&*self.store, caller.actor()).await?;
        let view = |(state, drug): (UsState, RxNorm)| AutoApprovalView {
            state: state.into(),
            rxnorm: drug.into(),
        };
        Ok(Json(AutoApprovalsView { auto_approvals: allowed.into_iter().map(view).collect() }))
    }

    /// Allow or forbid automatic approvals
    ///
    /// Takes `rule.administer`. The old and the new value are audited.
    #[oai(path = "/api/admin/auto-approvals", method = "put", operation_id = "setAutoApproval")]
    async fn set_auto_approval(
        &self,
        caller: Caller,
        body: Body<AutoApprovalChange>,
    ) -> Answer<AutoApprovalsView> {
        let (state, drug) = (body.0.state.read("state")?, body.0.rxnorm.read("rxnorm")?);
        let store = &*self.store;
        rules::set_auto_approval(store, caller.actor(), state, &drug, body.0.allowed).await?;
        self.auto_approvals(caller).await
    }
}
