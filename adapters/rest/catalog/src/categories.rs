use std::sync::Arc;

use api::{Body, Caller, Created, IfMatch, Problem, Tag, Text, Versioned, Visitor};
use catalog::{CatalogStore, Category, CategoryConfiguration, CategorySpec, Modality, Shown};
use kernel::{
    CategoryId,
    text::{CatalogDescription, CatalogName},
};
use poem_openapi::{Object, OpenApi, param::Path, payload::Json, types::Example};
use ports::Env;

pub struct CategoriesApi {
    pub env: Env,
    pub store: Arc<dyn CatalogStore>,
    pub shown: Shown,
}

/// A category of treatment.
#[derive(Debug, Object)]
#[oai(rename = "Category")]
pub struct CategoryView {
    pub id: CategoryId,
    /// A stable word for addresses, as in `hair-loss`.
    pub slug: String,
    pub name: String,
    pub description: String,
    /// How a provider has to meet the patient before a treatment can start. A
    /// state may ask for more.
    pub required_modality: Modality,
    /// In completed years.
    pub minimum_age: u16,
    /// In completed years; absent where there is no upper limit.
    pub maximum_age: Option<u16>,
    /// Whether patients can start in it.
    pub active: bool,
    /// Counts the changes.
    pub version: i64,
}

/// The categories that patients can start in, by name.
#[derive(Debug, Object)]
#[oai(rename = "Categories")]
pub struct CategoriesView {
    pub categories: Vec<CategoryView>,
}

impl From<Category> for CategoryView {
    fn from(category: Category) -> Self {
        Self {
            id: category.id,
            slug: category.slug,
            name: category.name,
            description: category.description,
            required_modality: category.configuration.required_modality,
            minimum_age: category.configuration.minimum_age,
            maximum_age: category.configuration.maximum_age,
            active: category.active,
            version: category.version,
        }
    }
}

/// What an administrator says of a category.
#[derive(Debug, Object)]
#[oai(example)]
pub struct CategoryRequest {
    /// 2 to 60 lower-case letters, digits and dashes.
    #[oai(validator(min_length = 2, max_length = 60))]
    slug: String,
    name: Text<CatalogName>,
    description: Text<CatalogDescription>,
    /// Whether patients can start in it. Who is treated stays so.
    active: bool,
    required_modality: Modality,
    /// In completed years.
    #[oai(validator(maximum(value = "150")))]
    minimum_age: u16,
    /// In completed years; without one there is no upper limit.
    #[oai(validator(maximum(value = "150")))]
    maximum_age: Option<u16>,
}

impl Example for CategoryRequest {
    fn example() -> Self {
        Self {
            slug: "migraine".into(),
            name: "Migraine".into(),
            description: "Acute and preventive treatment of migraine.".into(),
            active: true,
            required_modality: Modality::Asynchronous,
            minimum_age: 18,
            maximum_age: Some(65),
        }
    }
}

impl From<CategoryRequest> for CategorySpec {
    fn from(request: CategoryRequest) -> Self {
        Self {
            slug: request.slug,
            name: request.name.into(),
            description: request.description.into(),
            active: request.active,
            configuration: CategoryConfiguration {
                required_modality: request.required_modality,
                minimum_age: request.minimum_age,
                maximum_age: request.maximum_age,
            },
        }
    }
}

#[OpenApi(tag = "Tag::Catalog")]
impl CategoriesApi {
    /// List categories
    ///
    /// Public. The categories of treatment that patients can start in.
    #[oai(path = "/api/categories", method = "get", operation_id = "listCategories")]
    async fn list(&self, visitor: Visitor) -> Result<Json<CategoriesView>, Problem> {
        let categories = self.shown.categories(visitor.actor()).await?;
        let categories = categories.iter().cloned().map(Into::into).collect();
        Ok(Json(CategoriesView { categories }))
    }

    /// Read a category
    ///
    /// Public, as long as patients can start in it.
    #[oai(path = "/api/categories/:id", method = "get", operation_id = "getCategory")]
    async fn one(
        &self,
        visitor: Visitor,
        id: Path<CategoryId>,
    ) -> Result<Versioned<CategoryView>, Problem> {
        let category = catalog::category(self.store.as_ref(), visitor.actor(), id.0).await?;
        Ok(Versioned::of(category))
    }

    /// List all categories
    ///
    /// Takes `catalog.administer`. Those that are not active among them.
    #[oai(path = "/api/admin/categories", method = "get", operation_id = "adminListCategories")]
    async fn list_all(&self, caller: Caller) -> Result<Json<CategoriesView>, Problem> {
        let categories = catalog::all_categories(self.store.as_ref(), caller.actor()).await?;
        Ok(Json(CategoriesView { categories: categories.into_iter().map(Into::into).collect() }))
    }

    /// Create a category
    ///
    /// Takes `catalog.administer`. Patients can start in it once it has a
    /// published form and a plan on offer.
    #[oai(path = "/api/admin/categories", method = "post", operation_id = "createCategory")]
    async fn create(
        &self,
        caller: Caller,
        body: Body<CategoryRequest>,
    ) -> Result<Created<CategoryView>, Problem> {
        let (store, spec) = (self.store.as_ref(), body.0.into());
        let category = catalog::create_category(&self.env, store, caller.actor(), spec).await?;
        self.shown.forget();
        Ok(Created::under("/api/categories", category))
    }

    /// Change a category
    ///
    /// Takes `catalog.administer`. `If-Match` names the version that was read;
    /// when the category has changed since, the answer is 412 and names what
    /// changed.
    #[oai(path = "/api/admin/categories/:id", method = "put", operation_id = "updateCategory")]
    async fn update(
        &self,
        caller: Caller,
        id: Path<CategoryId>,
        #[oai(name = "If-Match")] seen: IfMatch,
        body: Body<CategoryRequest>,
    ) -> Result<Versioned<CategoryView>, Problem> {
        let spec = body.0.into();
        let store = self.store.as_ref();
        let category = catalog::revise_category(store, caller.actor(), id.0, seen.0, spec).await?;
        self.shown.forget();
        Ok(Versioned::of(category))
    }
}
