//! What a category asks of who wants to start.

use std::sync::Arc;

use api::{Answer, Mirror, Tag, Visitor};
use care::{
    CareStore,
    rules::{self, Criterion},
};
use catalog::CatalogStore;
use kernel::CategoryId;
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

pub struct RequirementsApi {
    pub catalog: Arc<dyn CatalogStore>,
    pub care: Arc<dyn CareStore>,
}

/// Something that decides about a request, in the words of its rule.
#[derive(Debug, Object, Mirror)]
#[mirror(from = Criterion)]
#[oai(rename = "EligibilityCriterion")]
pub struct CriterionView {
    /// A stable word, as in `under_age`.
    rule: String,
    description: String,
    /// What a patient reads for whom it holds.
    text: String,
    /// For a rule of one state: its postal code. There it takes the place of
    /// the general rule of the same word.
    state: Option<String>,
}

/// What a category asks of patients.
#[derive(Debug, Object)]
#[oai(rename = "CategoryEligibility")]
pub struct RequirementsView {
    category_id: CategoryId,
    name: String,
    /// How a provider has to meet the patient before a treatment can start. A
    /// state may ask for more.
    required_modality: catalog::Modality,
    /// In completed years.
    minimum_age: u16,
    /// In completed years; absent where there is no upper limit.
    maximum_age: Option<u16>,
    /// Each of them rules the treatment out.
    excluded: Vec<CriterionView>,
    /// For each of them a provider looks at the request first.
    reviewed: Vec<CriterionView>,
    /// The postal codes of the states in which a request for which none of
    /// this holds may be approved without a provider. Everywhere else a
    /// provider looks at each request.
    approved_without_review_in: Vec<String>,
}

#[OpenApi(tag = "Tag::Care")]
impl RequirementsApi {
    /// Read what a category asks of patients
    ///
    /// Public, as long as patients can start in the category. It is what the
    /// category and its published rules say now, and decides nothing: that
    /// takes the form.
    #[oai(
        path = "/api/categories/:id/eligibility",
        method = "get",
        operation_id = "getCategoryEligibility"
    )]
    async fn read(&self, visitor: Visitor, id: Path<CategoryId>) -> Answer<RequirementsView> {
        let id = id.0;
        let category = catalog::category(&*self.catalog, visitor.actor(), id).await?;
        let asked = rules::requirements(&*self.care, id).await?;
        Ok(Json(RequirementsView {
            category_id: id,
            name: category.name,
            required_modality: category.configuration.required_modality,
            minimum_age: category.configuration.minimum_age,
            maximum_age: category.configuration.maximum_age,
            excluded: asked.excludes.into_iter().map(Into::into).collect(),
            reviewed: asked.reviews.into_iter().map(Into::into).collect(),
            approved_without_review_in: asked.automatic_in.into_iter().map(Into::into).collect(),
        }))
    }
}
