use async_trait::async_trait;
use kernel::{AssessmentId, CategoryId, Page, PageRequest, RuleSetId, RxNorm, UsState};
use ports::{Repository, Result, UnitOfWork};

use crate::{
    Assessment,
    eligibility::{RuleSet, RuleSetStatus, Scope},
};

/// Which rule sets to list, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSetQuery {
    pub category: Option<CategoryId>,
    pub status: Option<RuleSetStatus>,
    pub page: PageRequest,
}

/// What the rules need of the store. It is a part of
/// [`CareTx`](crate::CareTx), because a decision reads its rules in the
/// transaction in which it is stored.
#[async_trait]
pub trait RuleTx: UnitOfWork + Repository<RuleSet> {
    /// In no order; what does not exist is left out.
    async fn rule_sets_named(&mut self, ids: &[RuleSetId]) -> Result<Vec<RuleSet>>;

    async fn rule_sets(&mut self, query: &RuleSetQuery) -> Result<Page<RuleSet>>;

    /// The published sets of a category, of every scope.
    async fn rule_sets_in_force(&mut self, category: CategoryId) -> Result<Vec<RuleSet>>;

    /// The highest number of category and scope; 0 without one.
    async fn latest_rule_number(&mut self, category: CategoryId, scope: &Scope) -> Result<i32>;

    /// Whether the drug may be approved automatically in the state.
    async fn auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<bool>;

    async fn allow_auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<()>;

    /// Every drug that may be approved automatically somewhere, by state.
    async fn auto_approvals(&mut self) -> Result<Vec<(UsState, RxNorm)>>;

    async fn forbid_auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<()>;

    /// Whoever's assessment it is: an auditor replays them all.
    async fn decided_one(&mut self, id: AssessmentId) -> Result<Option<Assessment>>;

    /// Assessments of a category, and of one state where one is named, the
    /// latest first, from after the one that is named.
    async fn decided(
        &mut self,
        category: CategoryId,
        state: Option<UsState>,
        after: Option<AssessmentId>,
        limit: u32,
    ) -> Result<Vec<Assessment>>;

    /// Every assessment in the order of its id, from after the one that is
    /// named.
    async fn all_decided(
        &mut self,
        after: Option<AssessmentId>,
        limit: u32,
    ) -> Result<Vec<Assessment>>;
}
