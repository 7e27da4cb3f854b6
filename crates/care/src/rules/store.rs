use async_trait::async_trait;
use kernel::{AssessmentId, CategoryId, Page, PageRequest, RuleSetId, RxNorm, UsState};
use ports::{Result, UnitOfWork};

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
pub trait RuleTx: UnitOfWork {
    async fn rule_set(&mut self, id: RuleSetId) -> Result<Option<RuleSet>>;

    /// In no order; what does not exist is left out.
    async fn rule_sets_named(&mut self, ids: &[RuleSetId]) -> Result<Vec<RuleSet>>;

    async fn rule_sets(&mut self, query: &RuleSetQuery) -> Result<Page<RuleSet>>;

    /// The published sets of a category, of every scope.
    async fn rule_sets_in_force(&mut self, category: CategoryId) -> Result<Vec<RuleSet>>;

    /// The highest version of category and scope; 0 without one.
    async fn latest_rule_version(&mut self, category: CategoryId, scope: &Scope) -> Result<i32>;

    /// A version that exists already is a conflict.
    async fn add_rule_set(&mut self, set: &RuleSet) -> Result<()>;

    /// Saves a set whose stored revision is the one before; anything else is a
    /// conflict, as is a second published set of category and scope.
    async fn save_rule_set(&mut self, set: &RuleSet) -> Result<()>;

    /// Every drug that may be approved automatically somewhere, by state.
    async fn auto_approvals(&mut self) -> Result<Vec<(UsState, RxNorm)>>;

    async fn forbid_auto_approval(&mut self, state: UsState, drug: &RxNorm) -> Result<()>;

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
