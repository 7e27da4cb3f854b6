//! Categories.

use catalog::{Category, CategoryConfiguration, Modality};
use kernel::CategoryId;
use ports::Result;
use sea_orm::{QueryOrder as _, entity::prelude::*};

use pg::{PgTx, Row, Unreadable, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "catalog_categories")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CategoryId,
    pub slug: String,
    pub name: String,
    pub description: String,
    pub active: bool,
    pub required_modality: Modality,
    pub minimum_age: i32,
    pub maximum_age: Option<i32>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Row for Model {
    type Aggregate = Category;

    fn open(self) -> Result<Category, Unreadable> {
        Ok(Category {
            id: self.id,
            slug: self.slug,
            name: self.name,
            description: self.description,
            active: self.active,
            configuration: CategoryConfiguration {
                required_modality: self.required_modality,
                minimum_age: self.minimum_age.try_into()?,
                maximum_age: self.maximum_age.map(TryInto::try_into).transpose()?,
            },
            version: self.version,
        })
    }

    fn close(category: &Category) -> Self {
        let Category { id, slug, name, description, active, configuration, version } =
            category.clone();
        let CategoryConfiguration { required_modality, minimum_age, maximum_age } = configuration;
        let (minimum_age, maximum_age) = (minimum_age.into(), maximum_age.map(Into::into));
        Self {
            id,
            slug,
            name,
            description,
            active,
            required_modality,
            minimum_age,
            maximum_age,
            version,
        }
    }
}

pub async fn all(tx: &PgTx, active_only: bool) -> Result<Vec<Category>> {
    let mut found = reached::<Model>(tx).order_by_asc(Column::Name);
    if active_only {
        found = found.filter(Column::Active.eq(true));
    }
    Model::load(tx, found).await
}
