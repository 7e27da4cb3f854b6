//! Feature flags: administering them, and what is on for the caller.

use std::{collections::BTreeSet, ops::Deref, sync::Arc};

use api::{Body, Caller, Created, Done, IfMatch, Problem, Tag, Text, Versioned};
use catalog::{CatalogError, CatalogStore, Cohort, FeatureFlag, FlagSpec, Rollout, flags};
use kernel::{
    AccountId, CategoryId, FeatureFlagId, FieldError, PlanId, Role, UsState,
    text::{FlagDescription, StateCode},
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};
use ports::Env;

pub struct FlagsApi {
    pub env: Env,
    pub store: Arc<dyn CatalogStore>,
    pub rollout: Rollout,
}

/// A group of accounts. Whoever belongs to it meets every condition that it
/// names, and one value of each is enough.
#[derive(Clone, Debug, Default, Object)]
#[oai(rename = "FlagCohort", default)]
pub struct CohortBody {
    /// Postal codes of states in which patients live.
    #[oai(validator(max_items = 60))]
    states: Vec<Text<StateCode>>,
    /// Plans of subscriptions in force.
    #[oai(validator(max_items = 100))]
    plan_ids: Vec<PlanId>,
    /// Categories of subscriptions in force.
    #[oai(validator(max_items = 100))]
    category_ids: Vec<CategoryId>,
    /// Roles, as in `patient`.
    #[oai(validator(max_items = 10))]
    roles: Vec<String>,
}

/// What an administrator says of a feature flag.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct FeatureFlagRequest {
    /// What programs ask for; a flag keeps its key.
    #[oai(validator(min_length = 1, max_length = 64, pattern = "^[a-z][a-z0-9_]{0,63}$"))]
    key: String,
    description: Text<FlagDescription>,
    /// One that is not enabled is on for nobody.
    enabled: bool,
    /// For how many percent of the accounts in the cohorts it is on. Raising
    /// it only adds accounts.
    #[oai(validator(maximum(value = "100")))]
    percentage: u8,
    /// Whoever belongs to one of them counts; without any, everybody does.
    #[oai(default, validator(max_items = 20))]
    cohorts: Vec<CohortBody>,
    /// Accounts for which it is on whatever their cohort and the percentage.
    #[oai(default, validator(max_items = 1000))]
    account_ids: Vec<AccountId>,
}

impl Example for FeatureFlagRequest {
    fn example() -> Self {
        Self {
            key: "refill_reminders".into(),
            description: "Reminds patients of refills by push.".into(),
            enabled: true,
            percentage: 10,
            cohorts: vec![CohortBody { states: vec!["TX".into()], ..CohortBody::default() }],
            account_ids: Vec::new(),
        }
    }
}

/// A feature flag.
#[derive(Debug, Object)]
#[oai(rename = "FeatureFlag")]
pub struct FeatureFlagView {
    id: FeatureFlagId,
    key: String,
    description: String,
    enabled: bool,
    /// For how many percent of the accounts in the cohorts it is on.
    percentage: u8,
    cohorts: Vec<CohortBody>,
    account_ids: Vec<AccountId>,
    /// Counts the changes; it is the `ETag` too.
    version: i64,
}

/// Feature flags, by key.
#[derive(Debug, Object)]
#[oai(rename = "FeatureFlags")]
pub struct FeatureFlagsView {
    flags: Vec<FeatureFlagView>,
}

/// What is rolled out to the caller.
#[derive(Debug, Object)]
pub struct OwnFeatureFlags {
    /// The keys of the flags that are on; every other one is off.
    on: Vec<String>,
}

impl From<FeatureFlag> for FeatureFlagView {
    fn from(flag: FeatureFlag) -> Self {
        let cohorts = flag.cohorts.into_iter().map(|cohort| CohortBody {
            states: cohort.states.iter().map(|state| state.to_string().into()).collect(),
            plan_ids: cohort.plans.into_iter().collect(),
            category_ids: cohort.categories.into_iter().collect(),
            roles: cohort.roles.iter().map(ToString::to_string).collect(),
        });
        Self {
            id: flag.id,
            key: flag.key.into(),
            description: flag.description,
            enabled: flag.enabled,
            percentage: flag.percentage,
            cohorts: cohorts.collect(),
            account_ids: flag.accounts.into_iter().collect(),
            version: flag.version,
        }
    }
}

impl FeatureFlagRequest {
    fn read(self) -> Result<FlagSpec, CatalogError> {
        let mut errors = Vec::new();
        let key = self.key.parse().map_err(|_| {
            let message = "A letter, and up to 63 more letters, digits and underscores.";
            CatalogError::Invalid(vec![FieldError::new("key", "invalid", message)])
        })?;
        let mut cohorts = Vec::new();
        for (index, cohort) in self.cohorts.into_iter().enumerate() {
            cohorts.push(Cohort {
                states: words::<UsState>(&mut errors, index, "states", &cohort.states),
                plans: cohort.plan_ids.into_iter().collect(),
                categories: cohort.category_ids.into_iter().collect(),
                roles: words::<Role>(&mut errors, index, "roles", &cohort.roles),
            });
        }
        if !errors.is_empty() {
            return Err(CatalogError::Invalid(errors));
        }
        Ok(FlagSpec {
            key,
            description: self.description.into(),
            enabled: self.enabled,
            percentage: self.percentage,
            cohorts,
            accounts: self.account_ids.into_iter().collect(),
        })
    }
}

/// Reads words of a cohort, and names those that are none.
fn words<T: std::str::FromStr + Ord>(
    errors: &mut Vec<FieldError>,
    cohort: usize,
    field: &str,
    given: &[impl Deref<Target = str>],
) -> BTreeSet<T> {
    let mut read = BTreeSet::new();
    for (index, word) in given.iter().enumerate() {
        match word.parse() {
            Ok(word) => {
                read.insert(word);
            }
            Err(_) => errors.push(FieldError::new(
                format!("cohorts[{cohort}].{field}[{index}]"),
                "unknown",
                "There is none of that name.",
            )),
        }
    }
    read
}

#[OpenApi(tag = "Tag::Catalog")]
impl FlagsApi {
    /// Read one's feature flags
    ///
    /// What is rolled out to the caller. A change of a flag is seen within
    /// seconds.
    #[oai(path = "/api/auth/feature-flags", method = "get", operation_id = "ownFeatureFlags")]
    async fn own(&self, caller: Caller) -> Result<Json<OwnFeatureFlags>, Problem> {
        let on = self.rollout.own(caller.actor()).await?;
        Ok(Json(OwnFeatureFlags { on: on.into_iter().map(Into::into).collect() }))
    }

    /// List feature flags
    ///
    /// Takes `catalog.administer`.
    #[oai(path = "/api/admin/feature-flags", method = "get", operation_id = "listFeatureFlags")]
    async fn list(&self, caller: Caller) -> Result<Json<FeatureFlagsView>, Problem> {
        let all = flags::all(self.store.as_ref(), caller.actor()).await?;
        Ok(Json(FeatureFlagsView { flags: all.into_iter().map(Into::into).collect() }))
    }

    /// Create a feature flag
    ///
    /// Takes `catalog.administer`. A flag is on for the accounts that it names
    /// and for a percentage of those in its cohorts; which accounts these are
    /// follows from its key and never changes.
    #[oai(path = "/api/admin/feature-flags", method = "post", operation_id = "createFeatureFlag")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<FeatureFlagRequest>,
    ) -> Result<Created<FeatureFlagView>, Problem> {
        let (store, spec) = (self.store.as_ref(), body.0.read()?);
        let flag = flags::create(&self.env, store, &self.rollout, caller.actor(), spec).await?;
        Ok(Created::under("/api/admin/feature-flags", flag))
    }

    /// Read a feature flag
    ///
    /// Takes `catalog.administer`.
    #[oai(path = "/api/admin/feature-flags/:id", method = "get", operation_id = "getFeatureFlag")]
    async fn one(
        &self,
        caller: Caller,
        id: Path<FeatureFlagId>,
    ) -> Result<Versioned<FeatureFlagView>, Problem> {
        let flag = flags::one(self.store.as_ref(), caller.actor(), id.0).await?;
        Ok(Versioned::of(flag))
    }

    /// Change a feature flag
    ///
    /// Takes `catalog.administer`. `If-Match` names the version that was read;
    /// when the flag has changed since, the answer is 412 and names what
    /// changed. A flag keeps its key.
    #[oai(
        path = "/api/admin/feature-flags/:id",
        method = "put",
        operation_id = "updateFeatureFlag"
    )]
    async fn update(
        &self,
        caller: Caller,
        id: Path<FeatureFlagId>,
        #[oai(name = "If-Match")] seen: IfMatch,
        body: Body<FeatureFlagRequest>,
    ) -> Result<Versioned<FeatureFlagView>, Problem> {
        let spec = body.0.read()?;
        let (store, id) = (self.store.as_ref(), id.0);
        let flag = flags::revise(store, &self.rollout, caller.actor(), id, seen.0, spec).await?;
        Ok(Versioned::of(flag))
    }

    /// Delete a feature flag
    ///
    /// Takes `catalog.administer`, and the version that was read as `If-Match`.
    /// What asks for the flag finds it off.
    #[oai(
        path = "/api/admin/feature-flags/:id",
        method = "delete",
        operation_id = "deleteFeatureFlag"
    )]
    async fn delete(
        &self,
        caller: Caller,
        id: Path<FeatureFlagId>,
        #[oai(name = "If-Match")] seen: IfMatch,
    ) -> Result<Done, Problem> {
        let (store, id) = (self.store.as_ref(), id.0);
        flags::delete(store, &self.rollout, caller.actor(), id, seen.0).await?;
        Ok(Done::Done)
    }
}
