//! The clinical record: versions, tokens and what patients report.

mod profile;
mod search;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use kernel::PatientId;
use pg::{db, expect_changed};
use ports::{PortError, Result};
use records::{
    ClinicalProfile, Reach, RecordsTx, Resource, ResourceType, Search, Token, resource::INDEX,
};
use sea_orm::{DbBackend, FromQueryResult, Statement, Value};
use uuid::Uuid;

pg::store!(Tx {});

/// A resource with its sealed content.
#[derive(FromQueryResult)]
struct Row {
    kind: String,
    id: Uuid,
    version: i64,
    patient_id: PatientId,
    last_updated: DateTime<Utc>,
    deleted: bool,
    source_version: i64,
    content: Vec<u8>,
}

#[derive(FromQueryResult)]
struct Counted {
    matches: i64,
}

#[derive(FromQueryResult)]
struct ProfileRow {
    version: i64,
    content: Vec<u8>,
}

#[async_trait]
impl RecordsTx for Tx {
    async fn resource(
        &mut self,
        kind: ResourceType,
        id: Uuid,
        reach: &Reach,
    ) -> Result<Option<Resource>> {
        let mut search = Search::of(kind, 1);
        search.ids = Some(vec![id]);
        let query = search::Query::of(self, &search, reach)?.with_deleted();
        Ok(self.resources(query.select()).await?.pop())
    }

    async fn save_resource(&mut self, resource: &Resource) -> Result<()> {
        let kind: &'static str = resource.kind.into();
        let key: [Value; 2] = [kind.into(), resource.id.into()];
        let state: [Value; 6] = [
            resource.patient.into(),
            resource.version.into(),
            resource.last_updated.into(),
            resource.deleted.into(),
            resource.source_version.into(),
            INDEX.into(),
        ];
        let values = key.into_iter().chain(state);
        let doing = "saving a resource";
        if resource.version == 1 {
            self.execute(
                doing,
                "INSERT INTO record_resources \
                 (kind, id, patient_id, version, last_updated, deleted, source_version, indexed) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                values.collect::<Vec<_>>(),
            )
            .await?;
        } else {
            let done = self
                .execute(
                    doing,
                    "UPDATE record_resources SET patient_id = $3, version = $4, \
                     last_updated = $5, deleted = $6, source_version = $7, indexed = $8 \
                     WHERE kind = $1 AND id = $2 AND version = $4 - 1",
                    values.collect::<Vec<_>>(),
                )
                .await?;
            expect_changed(done.rows_affected(), "the resource")?;
        }
        let content = resource.content.to_string();
        let sealed = self.seal(
            &content_column(resource.kind, resource.version),
            resource.id,
            content.as_bytes(),
        )?;
        self.execute(
            "adding a version",
            "INSERT INTO record_versions \
             (kind, id, version, patient_id, last_updated, deleted, content) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            [
                kind.into(),
                resource.id.into(),
                resource.version.into(),
                resource.patient.into(),
                resource.last_updated.into(),
                resource.deleted.into(),
                sealed.into(),
            ],
        )
        .await?;
        self.write_tokens(resource).await
    }

    async fn stale_tokens(&mut self, limit: u32) -> Result<Vec<Resource>> {
        // Locked, so that no version is added in between; those that another
        // is working on come later.
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT r.kind, r.id, r.version, r.patient_id, r.last_updated, r.deleted, \
             r.source_version, v.content FROM record_resources r \
             JOIN record_versions v USING (kind, id, version) \
             WHERE r.indexed < $1 ORDER BY r.indexed, r.kind, r.id LIMIT $2 \
             FOR UPDATE OF r SKIP LOCKED",
            [INDEX.into(), i64::from(limit).into()],
        );
        self.resources(statement).await
    }

    async fn save_tokens(&mut self, resource: &Resource) -> Result<()> {
        let kind: &'static str = resource.kind.into();
        self.write_tokens(resource).await?;
        self.execute(
            "noting that a resource is indexed",
            "UPDATE record_resources SET indexed = $3 WHERE kind = $1 AND id = $2",
            [kind.into(), resource.id.into(), INDEX.into()],
        )
        .await?;
        Ok(())
    }

    async fn search(&mut self, search: &Search, reach: &Reach) -> Result<Vec<Resource>> {
        let query = search::Query::of(self, search, reach)?;
        self.resources(query.select()).await
    }

    async fn count(&mut self, search: &Search, reach: &Reach) -> Result<u64> {
        let doing = "counting resources";
        let statement = search::Query::of(self, search, reach)?.count();
        let row = Counted::find_by_statement(statement).one(self.read()).await;
        Ok(row.map_err(|e| db(doing, e))?.map_or(0, |row| row.matches.unsigned_abs()))
    }

    async fn clinical_profile(&mut self, patient: PatientId) -> Result<Option<ClinicalProfile>> {
        let sql = "SELECT version, content FROM clinical_profiles WHERE patient_id = $1";
        let found = self.rows("reading what a patient reported", sql, [patient.into()]).await?;
        let Some(ProfileRow { version, content }) = found.into_iter().next() else {
            return Ok(None);
        };
        let plain = self.unseal(profile::COLUMN, patient, content)?;
        profile::read(patient, version, &plain).map(Some)
    }

    async fn save_clinical_profile(&mut self, profile: &ClinicalProfile) -> Result<()> {
        let sealed = self.seal(profile::COLUMN, profile.patient, &profile::write(profile)?)?;
        let now = self.now();
        let done = self
            .execute(
                "saving what a patient reported",
                "INSERT INTO clinical_profiles (patient_id, version, content, updated_at) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (patient_id) DO UPDATE SET \
                 version = excluded.version, content = excluded.content, \
                 updated_at = excluded.updated_at \
                 WHERE clinical_profiles.version = excluded.version - 1",
                [profile.patient.into(), profile.version.into(), sealed.into(), now.into()],
            )
            .await?;
        expect_changed(done.rows_affected(), "what the patient reported")
    }
}

impl Tx {
    async fn write_tokens(&mut self, resource: &Resource) -> Result<()> {
        let kind: &'static str = resource.kind.into();
        self.execute(
            "taking back the tokens of a resource",
            "DELETE FROM record_tokens WHERE kind = $1 AND id = $2",
            [kind.into(), resource.id.into()],
        )
        .await?;
        for token in resource.tokens() {
            let word = self.token_word(resource.kind, &token)?;
            self.execute(
                "adding a token",
                "INSERT INTO record_tokens (kind, id, patient_id, parameter, token) \
                 VALUES ($1, $2, $3, $4, $5)",
                [
                    kind.into(),
                    resource.id.into(),
                    resource.patient.into(),
                    token.parameter.into(),
                    word.into(),
                ],
            )
            .await?;
        }
        Ok(())
    }

    async fn resources(&self, statement: Statement) -> Result<Vec<Resource>> {
        let doing = "reading resources";
        let rows = Row::find_by_statement(statement).all(self.read()).await;
        rows.map_err(|e| db(doing, e))?.into_iter().map(|row| self.resource_of(row)).collect()
    }

    fn resource_of(&self, row: Row) -> Result<Resource> {
        let kind = row.kind.parse().map_err(|error| {
            PortError::internal("a resource's type is none that Salus knows", error)
        })?;
        let json = self.unseal(&content_column(kind, row.version), row.id, row.content)?;
        let content = serde_json::from_slice(&json)
            .map_err(|error| PortError::internal("a resource's content is no JSON", error))?;
        let mut resource = Resource {
            kind,
            id: row.id,
            version: row.version,
            patient: row.patient_id,
            last_updated: row.last_updated,
            deleted: row.deleted,
            source_version: row.source_version,
            content,
        };
        resource.relink();
        Ok(resource)
    }

    /// What stands in the table for a token.
    fn token_word(&self, kind: ResourceType, token: &Token) -> Result<String> {
        if !token.sensitive {
            return Ok(token.value.clone());
        }
        let purpose = format!("record_tokens.{kind}.{}", token.parameter);
        Ok(hex::encode(self.sealer().blind_index(&purpose, &token.value)?.0))
    }
}

fn content_column(kind: ResourceType, version: i64) -> String {
    format!("record_versions.content.{kind}.{version}")
}
