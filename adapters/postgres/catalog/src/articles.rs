//! Articles.

use catalog::{Article, ArticleSpec, Tier};
use kernel::{ArticleId, CategoryId};
use ports::Result;
use sea_orm::{QueryOrder as _, entity::prelude::*};

use pg::{PgTx, Row, Unreadable, reached};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "catalog_articles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ArticleId,
    pub category_id: CategoryId,
    pub title: String,
    pub summary: String,
    pub body: String,
    pub minimum_tier: Option<Tier>,
    pub published: bool,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Row for Model {
    type Aggregate = Article;

    fn open(self) -> Result<Article, Unreadable> {
        let Self { id, category_id: category, title, summary, body, minimum_tier, .. } = self;
        let published = self.published;
        let spec = ArticleSpec { category, title, summary, body, minimum_tier, published };
        Ok(Article { id, spec, version: self.version })
    }

    fn close(article: &Article) -> Self {
        let Article { id, spec, version } = article.clone();
        let ArticleSpec { category: category_id, title, summary, body, .. } = spec;
        let ArticleSpec { minimum_tier, published, .. } = spec;
        Self { id, category_id, title, summary, body, minimum_tier, published, version }
    }
}

pub async fn of_category(tx: &PgTx, category: CategoryId) -> Result<Vec<Article>> {
    let found = reached::<Model>(tx).filter(Column::CategoryId.eq(category));
    Model::load(tx, found.order_by_asc(Column::Title).order_by_asc(Column::Id)).await
}
