//! How reviews are given out, for administrators.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{Answer, Body, Caller, IfMatch, Mirror, Result, Tag, Versioned};
use care::{
    AssignmentPolicy, CareError, CareStore, Sources,
    assigning::{self, HandedOut},
};
use kernel::{CategoryId, FieldError, Speciality, Uuid};
use poem_openapi::{Object, OpenApi, payload::Json};
use ports::Env;

pub struct AssignmentApi {
    pub env: Env,
    pub store: Arc<dyn CareStore>,
    pub sources: Sources,
}

/// The specialities that a category asks for.
#[derive(Clone, Debug, Object)]
pub struct CategorySpecialitiesBody {
    pub category_id: CategoryId,
    /// Codes of the NUCC provider taxonomy; a provider of any of them will do.
    #[oai(validator(max_items = 20))]
    pub specialities: Vec<String>,
}

/// How the clinic gives reviews out.
#[derive(Clone, Debug, Object)]
#[oai(example)]
pub struct AssignmentPolicyBody {
    /// Reviews are given out as they enter the queue. Otherwise providers take
    /// them, and `assignWaitingReviews` gives out what waits.
    pub automatic: bool,
    /// Nobody is given a review outside the working hours that they have named.
    pub within_hours: bool,
    /// For how many minutes an assigned review is held for its provider: between
    /// 15 and 1440. Then it returns to the queue.
    pub hold_minutes: u32,
    /// Who holds so many reviews is given no more.
    pub most_held: u32,
    /// A category that is not here takes any provider.
    #[oai(validator(max_items = 200))]
    pub categories: Vec<CategorySpecialitiesBody>,
}

api::example!(AssignmentPolicyBody {
    automatic: true,
    within_hours: true,
    hold_minutes: 120,
    most_held: 20,
    categories: vec![CategorySpecialitiesBody {
        category_id: Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001).into(),
        specialities: vec![Speciality::Psychiatry.code().to_owned()],
    }],
});

impl AssignmentPolicyBody {
    fn parse(self) -> Result<AssignmentPolicy, CareError> {
        let (mut errors, mut specialities) = (Vec::new(), BTreeMap::new());
        for (index, category) in self.categories.into_iter().enumerate() {
            let mut asked: BTreeSet<Speciality> = BTreeSet::new();
            for (place, code) in category.specialities.iter().enumerate() {
                match code.parse() {
                    Ok(speciality) => drop(asked.insert(speciality)),
                    Err(_) => errors.push(FieldError::new(
                        format!("categories[{index}].specialities[{place}]"),
                        "unknown",
                        "A code of the NUCC provider taxonomy that is on the list of specialities.",
                    )),
                }
            }
            if specialities.insert(category.category_id, asked).is_some() {
                let path = format!("categories[{index}].category_id");
                errors.push(FieldError::new(path, "duplicate", "A category stands here once."));
            }
        }
        if !errors.is_empty() {
            return Err(CareError::Invalid(errors));
        }
        Ok(AssignmentPolicy {
            automatic: self.automatic,
            within_hours: self.within_hours,
            hold_minutes: self.hold_minutes,
            most_held: self.most_held,
            specialities,
        })
    }
}

impl From<AssignmentPolicy> for AssignmentPolicyBody {
    fn from(policy: AssignmentPolicy) -> Self {
        let category = |(category_id, asked): (_, BTreeSet<Speciality>)| CategorySpecialitiesBody {
            category_id,
            specialities: asked.into_iter().map(|one| one.code().to_owned()).collect(),
        };
        Self {
            automatic: policy.automatic,
            within_hours: policy.within_hours,
            hold_minutes: policy.hold_minutes,
            most_held: policy.most_held,
            categories: policy.specialities.into_iter().map(category).collect(),
        }
    }
}

/// What came of giving out reviews.
#[derive(Debug, Object, Mirror)]
#[mirror(from = HandedOut)]
pub struct HandedOutView {
    pub assigned: u32,
    /// For these nobody was free; they stay in the queue.
    pub left: u32,
}

#[OpenApi(tag = "Tag::Care")]
impl AssignmentApi {
    /// Read how reviews are given out
    ///
    /// Takes `rule.administer`.
    #[oai(
        path = "/api/admin/assignment-policy",
        method = "get",
        operation_id = "getAssignmentPolicy"
    )]
    async fn policy(&self, caller: Caller) -> Result<Versioned<AssignmentPolicyBody>> {
        let (policy, version) = assigning::policy(&*self.store, caller.actor()).await?;
        Ok(Versioned::at(version, policy))
    }

    /// Set how reviews are given out
    ///
    /// Takes `rule.administer`. `If-Match` names the version that was read;
    /// when the policy has changed since, the answer is 412. A review goes to a
    /// provider who is licensed where the patient is, of a speciality that the
    /// category asks for and at work: to whoever holds the fewest, and of
    /// several to whoever was given one longest ago.
    #[oai(
        path = "/api/admin/assignment-policy",
        method = "put",
        operation_id = "setAssignmentPolicy"
    )]
    async fn set(
        &self,
        caller: Caller,
        #[oai(name = "If-Match")] seen: IfMatch,
        body: Body<AssignmentPolicyBody>,
    ) -> Result<Versioned<AssignmentPolicyBody>> {
        let (store, policy) = (&*self.store, body.0.parse()?);
        let version = assigning::set_policy(store, caller.actor(), &policy, &seen.0).await?;
        Ok(Versioned::at(version, policy))
    }

    /// Give out the reviews that wait
    ///
    /// Takes `rule.administer`. Goes through the queue once, whether or not
    /// reviews are given out by themselves; each provider is notified.
    /// Repeating it gives out what has come in since.
    #[oai(
        path = "/api/admin/reviews/assign",
        method = "post",
        operation_id = "assignWaitingReviews"
    )]
    async fn assign(&self, caller: Caller) -> Answer<HandedOutView> {
        let (store, actor) = (&*self.store, caller.actor());
        let done = assigning::assign_waiting(&self.env, store, &self.sources, actor).await?;
        Ok(Json(done.into()))
    }
}
