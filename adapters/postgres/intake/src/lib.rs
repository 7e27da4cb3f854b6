//! The store of intake.

mod entities;
mod mapping;
mod photos;

use std::collections::HashMap;

use async_trait::async_trait;
use intake::{Draft, Form, FormResponse, FormVersion, IntakeTx, ResponseQuery};
use kernel::{
    Actor, CategoryId, DraftId, FormId, FormResponseId, FormVersionId, Page, PageRequest,
    PatientId, Permission, Uuid,
};

pg::store!(Tx {});

use ports::{PortError, Result};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::Set,
    ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
    sea_query::{Expr, ExprTrait as _, SimpleExpr},
};

use self::{
    entities::{draft, form, response, version},
    mapping::{
        from_draft, from_response, from_version, status_columns, to_draft, to_form, to_response,
        to_version,
    },
};
use pg::{db, expect_changed, reach, time_cursor, time_cursor_of};

/// Who holds one of these reads responses that are not the reader's own.
const READERS: [Permission; 3] =
    [Permission::IntakeReadAny, Permission::PatientRead, Permission::PatientReadAny];

/// The responses that the actor reaches. Which of the patients a provider
/// treats is the panel's to say.
fn readable(actor: &Actor) -> Condition {
    READERS
        .into_iter()
        .map(|permission| reach(actor, response::Column::PatientId, permission))
        .fold(Condition::any(), Condition::add)
}

/// The drafts that the actor reaches: nobody reads along while a patient
/// writes, so these are the actor's own.
fn own(actor: &Actor) -> Condition {
    match (actor.is_system(), actor.as_patient()) {
        (true, _) => Condition::all(),
        (false, Some(own)) => Condition::all().add(draft::Column::PatientId.eq(own.uuid())),
        (false, None) => Condition::all().add(Expr::value(false)),
    }
}

#[async_trait]
impl IntakeTx for Tx {
    async fn form_of_category(&mut self, category: CategoryId) -> Result<Option<Form>> {
        let row = form::Entity::find()
            .filter(form::Column::CategoryId.eq(category.uuid()))
            .one(self.read())
            .await
            .map_err(|e| db("loading a form", e))?;
        Ok(row.map(to_form))
    }

    async fn insert_form(&mut self, form: &Form) -> Result<()> {
        let row = form::ActiveModel {
            id: Set(form.id.uuid()),
            category_id: Set(form.category.uuid()),
            slug: Set(form.slug.clone()),
        };
        form::Entity::insert(row)
            .exec_without_returning(self.write())
            .await
            .map_err(|e| db("inserting a form", e))?;
        Ok(())
    }

    async fn latest_number(&mut self, form: FormId) -> Result<i32> {
        let latest = version::Entity::find()
            .filter(version::Column::FormId.eq(form.uuid()))
            .order_by_desc(version::Column::Number)
            .one(self.read())
            .await
            .map_err(|e| db("counting the versions of a form", e))?;
        Ok(latest.map_or(0, |row| row.number))
    }

    async fn insert_version(&mut self, version: &FormVersion) -> Result<()> {
        let row = from_version(version)?.into_active_model().reset_all();
        version::Entity::insert(row)
            .exec_without_returning(self.write())
            .await
            .map_err(|e| db("inserting a form version", e))?;
        Ok(())
    }

    async fn save_draft_version(&mut self, version: &FormVersion) -> Result<()> {
        let row = from_version(version)?;
        let change = version::ActiveModel {
            definition: Set(row.definition),
            based_on: Set(row.based_on),
            revision: Set(row.revision),
            changed_at: Set(row.changed_at),
            ..Default::default()
        };
        let result = version::Entity::update_many()
            .set(change)
            .filter(version::Column::Id.eq(row.id))
            .filter(version::Column::Status.eq("draft"))
            .filter(version::Column::Revision.eq(row.revision - 1))
            .exec(self.write())
            .await
            .map_err(|e| db("saving a draft of a form version", e))?;
        expect_changed(result.rows_affected, "the form version")
    }

    async fn versions(
        &mut self,
        category: Option<CategoryId>,
        page: &PageRequest,
    ) -> Result<Page<FormVersion>> {
        let mut select = version::Entity::find().find_also_related(form::Entity);
        if let Some(category) = category {
            select = select.filter(form::Column::CategoryId.eq(category.uuid()));
        }
        if let Some((at, id)) = time_cursor(page)? {
            let earlier = version::Column::CreatedAt.lt(at);
            let same = version::Column::CreatedAt.eq(at).and(version::Column::Id.lt(id));
            select = select.filter(Condition::any().add(earlier).add(same));
        }
        let versions = select
            .order_by_desc(version::Column::CreatedAt)
            .order_by_desc(version::Column::Id)
            .limit(u64::from(page.limit()) + 1)
            .all(self.read())
            .await
            .map_err(|e| db("listing form versions", e))?
            .into_iter()
            .filter_map(|(version, form)| Some(to_version(version, form?)))
            .collect::<Result<Vec<_>>>()?;
        Ok(Page::from_overfetch(versions, page, |version| {
            time_cursor_of(version.created_at, version.id.uuid())
        }))
    }

    async fn save_version_status(&mut self, version: &FormVersion) -> Result<()> {
        let (status, published_at, retired_at) = status_columns(version.status);
        let change = version::ActiveModel {
            status: Set(status.to_owned()),
            published_at: Set(published_at),
            retired_at: Set(retired_at),
            ..Default::default()
        };
        let result = version::Entity::update_many()
            .set(change)
            .filter(version::Column::Id.eq(version.id.uuid()))
            .filter(version::Column::Status.ne(status))
            .filter(version::Column::Revision.eq(version.revision))
            .exec(self.write())
            .await
            .map_err(|e| db("saving the status of a form version", e))?;
        expect_changed(result.rows_affected, "form version status")
    }

    async fn version(&mut self, id: FormVersionId) -> Result<Option<FormVersion>> {
        self.one_version(version::Column::Id.eq(id.uuid())).await
    }

    async fn published_version(&mut self, category: CategoryId) -> Result<Option<FormVersion>> {
        self.one_version(
            form::Column::CategoryId
                .eq(category.uuid())
                .and(version::Column::Status.eq("published")),
        )
        .await
    }

    async fn draft(&mut self, patient: PatientId, category: CategoryId) -> Result<Option<Draft>> {
        draft::Entity::find()
            .filter(own(self.actor()))
            .filter(draft::Column::PatientId.eq(patient.uuid()))
            .filter(draft::Column::CategoryId.eq(category.uuid()))
            .one(self.read())
            .await
            .map_err(|e| db("loading a draft", e))?
            .map(|row| to_draft(self, row))
            .transpose()
    }

    async fn insert_draft(&mut self, draft: &Draft) -> Result<()> {
        let row = from_draft(self, draft)?.into_active_model().reset_all();
        draft::Entity::insert(row)
            .exec_without_returning(self.write())
            .await
            .map_err(|e| db("inserting a draft", e))?;
        Ok(())
    }

    async fn save_draft(&mut self, draft: &Draft) -> Result<()> {
        let row = from_draft(self, draft)?.into_active_model().reset_all();
        let result = draft::Entity::update_many()
            .set(row)
            .filter(own(self.actor()))
            .filter(draft::Column::Id.eq(draft.id.uuid()))
            .filter(draft::Column::Version.eq(draft.version - 1))
            .exec(self.write())
            .await
            .map_err(|e| db("saving a draft", e))?;
        expect_changed(result.rows_affected, "draft version")
    }

    async fn delete_draft(&mut self, id: DraftId) -> Result<()> {
        draft::Entity::delete_many()
            .filter(own(self.actor()))
            .filter(draft::Column::Id.eq(id.uuid()))
            .exec(self.write())
            .await
            .map_err(|e| db("deleting a draft", e))?;
        Ok(())
    }

    async fn insert_response(&mut self, response: &FormResponse) -> Result<()> {
        let row = from_response(self, response)?.into_active_model().reset_all();
        response::Entity::insert(row)
            .exec_without_returning(self.write())
            .await
            .map_err(|e| db("inserting a response", e))?;
        Ok(())
    }

    async fn response(&mut self, id: FormResponseId) -> Result<Option<FormResponse>> {
        let row = response::Entity::find_by_id(id.uuid())
            .filter(readable(self.actor()))
            .one(self.read())
            .await
            .map_err(|e| db("loading a response", e))?;
        Ok(self.with_forms(row.into_iter().collect()).await?.pop())
    }

    async fn responses(&mut self, query: &ResponseQuery) -> Result<Page<FormResponse>> {
        let mut select = response::Entity::find()
            .filter(readable(self.actor()))
            .filter(response::Column::PatientId.eq(query.patient.uuid()));
        if let Some(category) = query.category {
            select = select.filter(response::Column::CategoryId.eq(category.uuid()));
        }
        if let Some((at, id)) = time_cursor(&query.page)? {
            let earlier = response::Column::SubmittedAt.lt(at);
            let same = response::Column::SubmittedAt.eq(at).and(response::Column::Id.lt(id));
            select = select.filter(Condition::any().add(earlier).add(same));
        }
        let rows = select
            .order_by_desc(response::Column::SubmittedAt)
            .order_by_desc(response::Column::Id)
            .limit(u64::from(query.page.limit()) + 1)
            .all(self.read())
            .await
            .map_err(|e| db("listing responses", e))?;
        let responses = self.with_forms(rows).await?;
        Ok(Page::from_overfetch(responses, &query.page, |response| {
            time_cursor_of(response.submitted_at, response.id.uuid())
        }))
    }
}

impl Tx {
    async fn one_version(&self, which: SimpleExpr) -> Result<Option<FormVersion>> {
        let found = version::Entity::find()
            .find_also_related(form::Entity)
            .filter(which)
            .one(self.read())
            .await
            .map_err(|e| db("loading a form version", e))?;
        match found {
            Some((row, Some(form))) => to_version(row, form).map(Some),
            _ => Ok(None),
        }
    }

    /// The responses with the number and the form of the version that each of
    /// them answers, and with their photos.
    async fn with_forms(&self, rows: Vec<response::Model>) -> Result<Vec<FormResponse>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        // Without the definitions, which are large and not looked at here.
        let versions: HashMap<Uuid, (i32, form::Model)> = version::Entity::find()
            .select_only()
            .columns([version::Column::Id, version::Column::Number])
            .columns([form::Column::Id, form::Column::CategoryId])
            .column(form::Column::Slug)
            .inner_join(form::Entity)
            .filter(version::Column::Id.is_in(rows.iter().map(|row| row.form_version_id)))
            .into_tuple::<(Uuid, i32, Uuid, Uuid, String)>()
            .all(self.read())
            .await
            .map_err(|e| db("loading the forms of responses", e))?
            .into_iter()
            .map(|(version, number, id, category_id, slug)| {
                (version, (number, form::Model { id, category_id, slug }))
            })
            .collect();
        let mut photos = self.photos_of(rows.iter().map(|row| row.id)).await?;
        rows.into_iter()
            .map(|row| {
                let (number, form) = versions
                    .get(&row.form_version_id)
                    .ok_or_else(|| PortError::bug("a response has no form version"))?;
                let photos = photos.remove(&row.id).unwrap_or_default();
                to_response(self, row, (*number, form), photos)
            })
            .collect()
    }
}
