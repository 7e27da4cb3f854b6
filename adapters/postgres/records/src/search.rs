//! The SQL of a search.

use ports::Result;
use records::{Reach, Search};
use sea_orm::{DbBackend, Statement, Value};

use crate::Tx;

/// Conditions over `record_resources r` and their values.
pub(super) struct Query {
    conditions: Vec<String>,
    values: Vec<Value>,
    /// The condition of the page, which a count leaves out.
    page: Option<uuid::Uuid>,
    limit: u32,
    deleted: bool,
}

impl Query {
    pub(super) fn of(tx: &Tx, search: &Search, reach: &Reach) -> Result<Self> {
        let mut query = Self {
            conditions: Vec::new(),
            values: Vec::new(),
            page: search.after,
            limit: search.limit,
            deleted: false,
        };
        let kind: &'static str = search.kind.into();
        query.add("r.kind = ?", kind);
        match reach {
            // A panel belongs to another context, which was asked before.
            Reach::Everyone | Reach::Panel(_) => {}
            Reach::Only(patient) => query.add("r.patient_id = ?", patient.uuid()),
        }
        if let Some(patients) = &search.patients {
            query.any_of("r.patient_id", patients.iter().map(|patient| patient.uuid()));
        }
        if let Some(ids) = &search.ids {
            query.any_of("r.id", ids.iter().copied());
        }
        if let Some(from) = search.updated_from {
            query.add("r.last_updated >= ?", from);
        }
        if let Some(before) = search.updated_before {
            query.add("r.last_updated < ?", before);
        }
        for group in &search.tokens {
            let mut any = vec!["false".to_owned()];
            for token in group {
                let parameter = query.place(token.parameter);
                let word = query.place(tx.token_word(search.kind, token)?);
                any.push(format!("(t.parameter = {parameter} AND t.token = {word})"));
            }
            query.conditions.push(format!(
                "EXISTS (SELECT 1 FROM record_tokens t WHERE t.kind = r.kind AND t.id = r.id \
                 AND ({}))",
                any.join(" OR ")
            ));
        }
        Ok(query)
    }

    pub(super) fn with_deleted(mut self) -> Self {
        self.deleted = true;
        self
    }

    fn place(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    fn add(&mut self, condition: &str, value: impl Into<Value>) {
        let place = self.place(value);
        self.conditions.push(condition.replace('?', &place));
    }

    fn any_of(&mut self, column: &str, ids: impl Iterator<Item = uuid::Uuid>) {
        let places: Vec<String> = ids.map(|id| self.place(id)).collect();
        self.conditions.push(if places.is_empty() {
            "false".to_owned()
        } else {
            format!("{column} IN ({})", places.join(", "))
        });
    }

    pub(super) fn select(mut self) -> Statement {
        if let Some(after) = self.page {
            self.add("r.id > ?", after);
        }
        let limit = self.limit;
        let sql = format!(
            "SELECT r.kind, r.id, r.version, r.patient_id, r.last_updated, r.deleted, \
             r.source_version, v.content FROM record_resources r \
             JOIN record_versions v USING (kind, id, version) \
             WHERE {} ORDER BY r.id LIMIT {limit}",
            self.filter()
        );
        Statement::from_sql_and_values(DbBackend::Postgres, sql, self.values)
    }

    pub(super) fn count(self) -> Statement {
        let sql =
            format!("SELECT count(*) AS matches FROM record_resources r WHERE {}", self.filter());
        Statement::from_sql_and_values(DbBackend::Postgres, sql, self.values)
    }

    fn filter(&self) -> String {
        let mut filter = self.conditions.join(" AND ");
        if !self.deleted {
            filter.push_str(" AND NOT r.deleted");
        }
        filter
    }
}
