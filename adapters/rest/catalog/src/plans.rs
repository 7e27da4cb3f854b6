use std::sync::Arc;

use api::{Body, Caller, Created, IfMatch, Problem, Tag, Versioned, Visitor};
use catalog::{CatalogError, CatalogStore};
use kernel::{CategoryId, Permission, PlanId, Seen};
use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use ports::Env;

use super::{CatalogPlanView, CatalogPlansView, PlanRequest, comparison::ComparisonView};

pub struct PlansApi {
    pub env: Env,
    pub store: Arc<dyn CatalogStore>,
}

#[OpenApi(tag = "Tag::Catalog")]
impl PlansApi {
    /// List plans
    ///
    /// Public. The plans that a new subscriber can take now, with the prices
    /// that are offered.
    #[oai(path = "/api/plans", method = "get", operation_id = "listPlans")]
    async fn list(
        &self,
        visitor: Visitor,
        /// Only plans of this category.
        category_id: Query<Option<CategoryId>>,
    ) -> Result<Json<CatalogPlansView>, Problem> {
        let category = category_id.0;
        let plans =
            catalog::plans(&self.env, self.store.as_ref(), visitor.actor(), category).await?;
        let plans = plans.into_iter().map(CatalogPlanView::offered).collect();
        Ok(Json(CatalogPlansView { plans }))
    }

    /// Compare plans
    ///
    /// Public. Two to six plans of one category side by side, in the order of
    /// the ids.
    #[oai(path = "/api/plans/compare", method = "get", operation_id = "comparePlans")]
    async fn compare(
        &self,
        visitor: Visitor,
        /// The plans' ids, once each.
        plan_id: Query<Vec<PlanId>>,
    ) -> Result<Json<ComparisonView>, Problem> {
        let (ids, store) = (plan_id.0, self.store.as_ref());
        let compared =
            catalog::compare_plans(&self.env, store, visitor.actor(), &ids, false).await?;
        Ok(Json(compared.into()))
    }

    /// Read a plan
    ///
    /// Public, as long as the plan is offered.
    #[oai(path = "/api/plans/:id", method = "get", operation_id = "getPlan")]
    async fn one(
        &self,
        visitor: Visitor,
        id: Path<PlanId>,
    ) -> Result<Versioned<CatalogPlanView>, Problem> {
        let plan = catalog::plan(&self.env, self.store.as_ref(), visitor.actor(), id.0).await?;
        Ok(Versioned::at(plan.version, CatalogPlanView::offered(plan)))
    }

    /// Create a plan
    ///
    /// Takes `catalog.administer`.
    #[oai(path = "/api/plans", method = "post", operation_id = "createPlan")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<PlanRequest>,
    ) -> Result<Created<CatalogPlanView>, Problem> {
        self.make(&caller, body.0).await
    }

    /// Change a plan
    ///
    /// Takes `catalog.administer`. `If-Match` names the version that was read;
    /// when the plan has changed since, the answer is 412 and names what
    /// changed.
    #[oai(path = "/api/plans/:id", method = "put", operation_id = "updatePlan")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<PlanId>,
        #[oai(name = "If-Match")] seen: IfMatch,
        body: Body<PlanRequest>,
    ) -> Result<Versioned<CatalogPlanView>, Problem> {
        self.change(&caller, id.0, seen.0, body.0).await
    }

    /// List all plans
    ///
    /// Takes `catalog.administer`. Every plan with every price that was ever
    /// offered.
    #[oai(path = "/api/admin/plans", method = "get", operation_id = "adminListPlans")]
    async fn list_all(
        &self,
        caller: Caller,
        /// Only plans of this category.
        category_id: Query<Option<CategoryId>>,
    ) -> Result<Json<CatalogPlansView>, Problem> {
        let category = category_id.0;
        let plans = catalog::all_plans(self.store.as_ref(), caller.actor(), category).await?;
        let plans = plans.into_iter().map(CatalogPlanView::whole).collect();
        Ok(Json(CatalogPlansView { plans }))
    }

    /// Compare plans as an administrator
    ///
    /// Takes `catalog.administer`. Like the public comparison; with `all` also
    /// plans that are not on offer.
    #[oai(path = "/api/admin/plans/compare", method = "get", operation_id = "adminComparePlans")]
    async fn admin_compare(
        &self,
        caller: Caller,
        /// The plans' ids, once each.
        plan_id: Query<Vec<PlanId>>,
        /// Whether plans that are not on offer are compared too.
        all: Query<Option<bool>>,
    ) -> Result<Json<ComparisonView>, Problem> {
        let (ids, store, all) = (plan_id.0, self.store.as_ref(), all.0.unwrap_or(false));
        caller.actor().require(Permission::CatalogAdminister).map_err(CatalogError::from)?;
        let compared = catalog::compare_plans(&self.env, store, caller.actor(), &ids, all).await?;
        Ok(Json(compared.into()))
    }

    /// Create a plan as an administrator
    ///
    /// Takes `catalog.administer`. The same as `POST /api/plans`.
    #[oai(path = "/api/admin/plans", method = "post", operation_id = "adminCreatePlan")]
    async fn admin_create(
        &self,
        caller: Caller,
        body: Body<PlanRequest>,
    ) -> Result<Created<CatalogPlanView>, Problem> {
        self.make(&caller, body.0).await
    }

    /// Change a plan as an administrator
    ///
    /// Takes `catalog.administer`. The same as `PUT /api/plans/{id}`.
    #[oai(path = "/api/admin/plans/:id", method = "put", operation_id = "adminUpdatePlan")]
    async fn admin_update(
        &self,
        caller: Caller,
        id: Path<PlanId>,
        #[oai(name = "If-Match")] seen: IfMatch,
        body: Body<PlanRequest>,
    ) -> Result<Versioned<CatalogPlanView>, Problem> {
        self.change(&caller, id.0, seen.0, body.0).await
    }

    /// Deactivate a plan
    ///
    /// Takes `catalog.administer`. The plan is no longer offered; who has it
    /// keeps it.
    #[oai(path = "/api/admin/plans/:id", method = "delete", operation_id = "deactivatePlan")]
    async fn deactivate(
        &self,
        caller: Caller,
        id: Path<PlanId>,
        #[oai(name = "If-Match")] seen: IfMatch,
    ) -> Result<Versioned<CatalogPlanView>, Problem> {
        let plan =
            catalog::deactivate_plan(self.store.as_ref(), caller.actor(), id.0, seen.0).await?;
        Ok(Versioned::at(plan.version, CatalogPlanView::whole(plan)))
    }
}

impl PlansApi {
    async fn make(
        &self,
        caller: &Caller,
        request: PlanRequest,
    ) -> Result<Created<CatalogPlanView>, Problem> {
        let spec = request.read()?;
        let plan =
            catalog::create_plan(&self.env, self.store.as_ref(), caller.actor(), spec).await?;
        let place = format!("/api/plans/{}", plan.id);
        Ok(Created::at(place, plan.version, CatalogPlanView::whole(plan)))
    }

    async fn change(
        &self,
        caller: &Caller,
        id: PlanId,
        seen: Seen,
        request: PlanRequest,
    ) -> Result<Versioned<CatalogPlanView>, Problem> {
        let spec = request.read()?;
        let store = self.store.as_ref();
        let plan = catalog::revise_plan(&self.env, store, caller.actor(), id, seen, spec).await?;
        Ok(Versioned::at(plan.version, CatalogPlanView::whole(plan)))
    }
}
