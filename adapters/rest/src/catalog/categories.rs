use std::sync::Arc;

use catalog::{CatalogStore, Category};
use kernel::Uuid;
use poem_openapi::{Object, OpenApi, param::Path, payload::Json};

use super::ModalityWord;
use crate::core::{Problem, Tag, Visitor};

pub struct CategoriesApi {
    pub store: Arc<dyn CatalogStore>,
}

/// A category of treatment.
#[derive(Debug, Object)]
#[oai(rename = "Category")]
pub struct CategoryView {
    pub id: Uuid,
    /// A stable word for addresses, as in `hair-loss`.
    pub slug: String,
    pub name: String,
    pub description: String,
    /// How a provider has to meet the patient before a treatment can start. A
    /// state may ask for more.
    pub required_modality: ModalityWord,
    /// In completed years.
    pub minimum_age: u16,
    /// In completed years; absent where there is no upper limit.
    pub maximum_age: Option<u16>,
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
            id: category.id.uuid(),
            slug: category.slug,
            name: category.name,
            description: category.description,
            required_modality: category.configuration.required_modality.into(),
            minimum_age: category.configuration.minimum_age,
            maximum_age: category.configuration.maximum_age,
            version: category.version,
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
        let categories = catalog::categories(self.store.as_ref(), visitor.actor()).await?;
        let categories = categories.into_iter().map(Into::into).collect();
        Ok(Json(CategoriesView { categories }))
    }

    /// Read a category
    ///
    /// Public.
    #[oai(path = "/api/categories/:id", method = "get", operation_id = "getCategory")]
    async fn one(&self, visitor: Visitor, id: Path<Uuid>) -> Result<Json<CategoryView>, Problem> {
        let category = catalog::category(self.store.as_ref(), visitor.actor(), id.0.into()).await?;
        Ok(Json(category.into()))
    }
}
