//! Forms; what they ask is in their versions.

use intake::Form;
use kernel::{CategoryId, FormId};
use ports::Result;
use sea_orm::{IntoActiveModel as _, QueryTrait as _, entity::prelude::*};

use pg::{PgTx, db};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "intake_forms")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: FormId,
    pub category_id: CategoryId,
    pub slug: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub fn open(self) -> Form {
        Form { id: self.id, category: self.category_id, slug: self.slug }
    }
}

pub async fn of_category(tx: &PgTx, category: CategoryId) -> Result<Option<Form>> {
    let form = Entity::find().filter(Column::CategoryId.eq(category)).one(tx.read()).await;
    Ok(form.map_err(|error| db("reading a form", error))?.map(Model::open))
}

pub async fn insert(tx: &mut PgTx, form: &Form) -> Result<()> {
    let Form { id, category: category_id, slug } = form.clone();
    let row = Model { id, category_id, slug }.into_active_model().reset_all();
    tx.change("writing a form", Entity::insert(row).into_query()).await.map(drop)
}
