//! The rows of articles.

use catalog::Article;
use ports::{PortError, Result};
use sea_orm::{ActiveModelTrait as _, IntoActiveModel as _};

pub mod article {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "catalog_articles")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub category_id: Uuid,
        pub title: String,
        pub summary: String,
        pub body: String,
        pub minimum_tier: Option<String>,
        pub published: bool,
        pub version: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub fn to_article(row: article::Model) -> Result<Article> {
    let tier = row.minimum_tier.map(|tier| tier.parse()).transpose();
    Ok(Article {
        id: row.id.into(),
        category: row.category_id.into(),
        title: row.title,
        summary: row.summary,
        body: row.body,
        minimum_tier: tier
            .map_err(|error| PortError::internal("a stored article has an unknown tier", error))?,
        published: row.published,
        version: row.version,
    })
}

pub fn from_article(article: &Article) -> article::ActiveModel {
    article::Model {
        id: article.id.uuid(),
        category_id: article.category.uuid(),
        title: article.title.clone(),
        summary: article.summary.clone(),
        body: article.body.clone(),
        minimum_tier: article.minimum_tier.map(|tier| tier.to_string()),
        published: article.published,
        version: article.version,
    }
    .into_active_model()
    .reset_all()
}
