//! The store of prescriptions, their messages and the pharmacy directory.

pub(crate) mod rows;

use async_trait::async_trait;
use chrono::NaiveDate;
use kernel::{
    AccountId, DispatchId, ErxMessageId, Page, PageRequest, PatientId, PharmacyId,
    PrescriptionId, TreatmentPlanId, UsState, Uuid,
};
use pharmacy::{
    erx::{ErxMessage, ReceivedMessage},
    prescription::{
        Pharmacy, Prescription, PrescriptionReach, PrescriptionTx, store::Fill,
    },
};
use ports::Result;
use sea_orm::{DbBackend, FromQueryResult, Statement, Value};

use self::rows::{
    Columns, FillRow, MESSAGE_BODY, MessageRow, PHARMACY, PRESCRIPTION, PharmacyRow,
    PrescriptionRow,
};
use crate::Tx;
use pg::{db, expect_changed, id_cursor};

/// The rows of a query, read in this transaction.
async fn rows<T: FromQueryResult>(
    tx: &Tx,
    doing: &str,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<T>> {
    T::find_by_statement(Statement::from_sql_and_values(DbBackend::Postgres, sql, values))
        .all(tx.read())
        .await
        .map_err(|error| db(doing, error))
}

/// The condition that holds a query to its reach, and its first three values: a
/// row has to be of this patient, of this provider and of a pharmacy in which
/// this account works, where they are given.
fn within(reach: PrescriptionReach) -> (String, [Value; 3]) {
    let (patient, provider, account) = match reach {
        PrescriptionReach::Patient(patient) => (Some(patient.uuid()), None, None),
        PrescriptionReach::Prescriber(provider) | PrescriptionReach::Responsible(provider) => {
            (None, Some(provider.uuid()), None)
        }
        PrescriptionReach::Pharmacist { account, patient } => {
            (patient.map(|patient| patient.uuid()), None, Some(account.uuid()))
        }
        PrescriptionReach::Any => (None, None, None),
    };
    let theirs = match reach {
        PrescriptionReach::Responsible(_) => {
            "(provider_id = $2 OR treatment_plan_id IN \
             (SELECT id FROM care_treatment_plans WHERE provider_id = $2))"
        }
        _ => "provider_id = $2",
    };
    let condition = format!(
        "($1::uuid IS NULL OR patient_id = $1) \
         AND ($2::uuid IS NULL OR ({theirs} AND salus_care_treats($2, patient_id))) \
         AND ($3::uuid IS NULL OR pharmacy_id IN \
         (SELECT pharmacy_id FROM pharmacy_staff WHERE account_id = $3))"
    );
    (condition, [patient.into(), provider.into(), account.into()])
}

async fn one_prescription(
    tx: &Tx,
    id: PrescriptionId,
    reach: PrescriptionReach,
    lock: &str,
) -> Result<Option<Prescription>> {
    let (within, [patient, provider, account]) = within(reach);
    let sql = format!("SELECT {PRESCRIPTION} FROM prescriptions WHERE {within} AND id = $4 {lock}");
    let values = [patient, provider, account, id.uuid().into()];
    let found: Vec<PrescriptionRow> = rows(tx, "loading a prescription", &sql, values).await?;
    found.into_iter().next().map(|row| row.into_domain(tx)).transpose()
}

#[async_trait]
impl PrescriptionTx for Tx {
    async fn prescription(
        &mut self,
        id: PrescriptionId,
        reach: PrescriptionReach,
    ) -> Result<Option<Prescription>> {
        one_prescription(self, id, reach, "").await
    }

    async fn lock_prescription(
        &mut self,
        id: PrescriptionId,
        reach: PrescriptionReach,
    ) -> Result<Option<Prescription>> {
        one_prescription(self, id, reach, "FOR UPDATE").await
    }

    async fn open_prescription(&mut self, plan: TreatmentPlanId) -> Result<Option<Prescription>> {
        let sql = format!(
            "SELECT {PRESCRIPTION} FROM prescriptions WHERE treatment_plan_id = $1 \
             AND state IN ('draft', 'blocked', 'queued', 'sent', 'active') FOR UPDATE"
        );
        let found: Vec<PrescriptionRow> =
            rows(self, "loading an open prescription", &sql, [plan.uuid().into()]).await?;
        found.into_iter().next().map(|row| row.into_domain(self)).transpose()
    }

    async fn last_prescribed_version(&mut self, plan: TreatmentPlanId) -> Result<Option<u32>> {
        #[derive(FromQueryResult)]
        struct Last {
            version: Option<i32>,
        }
        let found: Vec<Last> = rows(
            self,
            "reading which version of a plan was prescribed",
            "SELECT max(plan_version) AS version FROM prescriptions WHERE treatment_plan_id = $1",
            [plan.uuid().into()],
        )
        .await?;
        let last = found.into_iter().next().and_then(|last| last.version);
        last.map(rows::plan_version).transpose()
    }

    async fn lock_prescribing(&mut self, patient: PatientId) -> Result<()> {
        self.lock("waiting for a patient's prescriptions", format!("prescribing/{patient}")).await
    }

    async fn open_prescriptions(&mut self, patient: PatientId) -> Result<Vec<Prescription>> {
        let sql = format!(
            "SELECT {PRESCRIPTION} FROM prescriptions WHERE patient_id = $1 \
             AND state IN ('queued', 'sent', 'active') ORDER BY id"
        );
        let found: Vec<PrescriptionRow> =
            rows(self, "reading what pharmacies hold", &sql, [patient.uuid().into()]).await?;
        found.into_iter().map(|row| row.into_domain(self)).collect()
    }

    async fn taken_prescriptions(
        &mut self,
        patient: PatientId,
        today: NaiveDate,
    ) -> Result<Vec<Prescription>> {
        let sql = format!(
            "SELECT {PRESCRIPTION} FROM prescriptions WHERE patient_id = $1 \
             AND (state IN ('draft', 'blocked', 'queued', 'sent', 'active') \
             OR (state = 'completed' AND last_filled_on + days_supply::integer > $2)) \
             ORDER BY id"
        );
        let values = [patient.uuid().into(), today.into()];
        let found: Vec<PrescriptionRow> =
            rows(self, "reading what is prescribed to a patient", &sql, values).await?;
        found.into_iter().map(|row| row.into_domain(self)).collect()
    }

    async fn prescriptions(
        &mut self,
        reach: PrescriptionReach,
        page: &PageRequest,
    ) -> Result<Page<Prescription>> {
        let (within, [patient, provider, account]) = within(reach);
        let before = id_cursor(page)?;
        let sql = format!(
            "SELECT {PRESCRIPTION} FROM prescriptions WHERE {within} \
             AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5"
        );
        let limit = (i64::from(page.limit()) + 1).into();
        let values = [patient, provider, account, before.into(), limit];
        let found: Vec<PrescriptionRow> = rows(self, "listing prescriptions", &sql, values).await?;
        let found: Vec<Prescription> =
            found.into_iter().map(|row| row.into_domain(self)).collect::<Result<_>>()?;
        Ok(Page::from_overfetch(found, page, |last| last.id.to_string()))
    }

    async fn add_prescription(&mut self, prescription: &Prescription) -> Result<()> {
        let columns = Columns::of(self, prescription)?;
        let dosing = &prescription.dosing;
        self.execute(
            "adding a prescription",
            "INSERT INTO prescriptions (id, treatment_plan_id, patient_id, provider_id, \
             category_id, pharmacy_id, clinical, quantity_milli, unit, days_supply, refills, \
             fills_used, last_filled_on, written_on, state, state_at, message_id, attempts, \
             state_detail, created_at, updated_at, version, plan_version) VALUES ($1, $2, $3, $4, \
             $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, \
             $23)",
            [
                prescription.id.uuid().into(),
                prescription.treatment_plan.uuid().into(),
                prescription.patient.uuid().into(),
                prescription.provider.uuid().into(),
                prescription.category.uuid().into(),
                prescription.pharmacy.uuid().into(),
                columns.clinical.into(),
                i64::from(dosing.quantity.thousandths()).into(),
                dosing.unit.to_string().into(),
                small(dosing.days_supply).into(),
                i16::from(dosing.refills).into(),
                i16::from(prescription.fills_used).into(),
                prescription.last_filled_on.into(),
                prescription.written_on.into(),
                prescription.state.word().into(),
                columns.state_at.into(),
                columns.message_id.into(),
                columns.attempts.into(),
                columns.state_detail.into(),
                prescription.created_at.into(),
                prescription.updated_at.into(),
                prescription.version.into(),
                i64::from(prescription.plan_version).into(),
            ],
        )
        .await?;
        Ok(())
    }

    async fn save_prescription(&mut self, prescription: &Prescription) -> Result<()> {
        let columns = Columns::of(self, prescription)?;
        let dosing = &prescription.dosing;
        let result = self
            .execute(
                "saving a prescription",
                "UPDATE prescriptions SET pharmacy_id = $3, clinical = $4, quantity_milli = $5, \
                 unit = $6, days_supply = $7, refills = $8, fills_used = $9, \
                 last_filled_on = $10, state = $11, state_at = $12, message_id = $13, \
                 attempts = $14, state_detail = $15, updated_at = $16, version = version + 1 \
                 WHERE id = $1 AND version = $2",
                [
                    prescription.id.uuid().into(),
                    prescription.version.into(),
                    prescription.pharmacy.uuid().into(),
                    columns.clinical.into(),
                    i64::from(dosing.quantity.thousandths()).into(),
                    dosing.unit.to_string().into(),
                    small(dosing.days_supply).into(),
                    i16::from(dosing.refills).into(),
                    i16::from(prescription.fills_used).into(),
                    prescription.last_filled_on.into(),
                    prescription.state.word().into(),
                    columns.state_at.into(),
                    columns.message_id.into(),
                    columns.attempts.into(),
                    columns.state_detail.into(),
                    prescription.updated_at.into(),
                ],
            )
            .await?;
        expect_changed(result.rows_affected(), "prescriptions")
    }

    async fn fill_of(&mut self, dispatch: DispatchId) -> Result<Option<Fill>> {
        let found: Vec<FillRow> = rows(
            self,
            "loading a fill",
            "SELECT prescription_id, dispatch_id, number, filled_on, recorded_at \
             FROM prescription_fills WHERE dispatch_id = $1",
            [dispatch.uuid().into()],
        )
        .await?;
        found.into_iter().next().map(FillRow::into_domain).transpose()
    }

    async fn add_fill(&mut self, fill: &Fill) -> Result<()> {
        let result = self
            .execute(
                "recording a fill",
                "INSERT INTO prescription_fills \
                 (dispatch_id, prescription_id, patient_id, number, filled_on, recorded_at) \
                 SELECT $1, id, patient_id, $3, $4, $5 FROM prescriptions WHERE id = $2",
                [
                    fill.dispatch.uuid().into(),
                    fill.prescription.uuid().into(),
                    i16::from(fill.number).into(),
                    fill.filled_on.into(),
                    fill.at.into(),
                ],
            )
            .await?;
        expect_changed(result.rows_affected(), "prescriptions")
    }

    async fn message(&mut self, id: ErxMessageId) -> Result<Option<ErxMessage>> {
        let found: Vec<MessageRow> = rows(
            self,
            "loading an eRx message",
            "SELECT id, prescription_id, body, created_at FROM erx_messages WHERE id = $1",
            [id.uuid().into()],
        )
        .await?;
        found.into_iter().next().map(|row| row.into_domain(self)).transpose()
    }

    async fn add_message(&mut self, message: &ErxMessage) -> Result<()> {
        let body = self.seal(MESSAGE_BODY, message.id.uuid(), message.text.as_bytes())?;
        let result = self
            .execute(
                "keeping an eRx message",
                "INSERT INTO erx_messages (id, prescription_id, patient_id, body, created_at) \
                 SELECT $1, id, patient_id, $3, $4 FROM prescriptions WHERE id = $2",
                [
                    message.id.uuid().into(),
                    message.prescription.uuid().into(),
                    body.into(),
                    message.created_at.into(),
                ],
            )
            .await?;
        expect_changed(result.rows_affected(), "prescriptions")
    }

    async fn receive_message(&mut self, message: &ReceivedMessage) -> Result<bool> {
        let id: Uuid = self.env().fresh();
        let body = self.seal("erx_received.body", id, message.text.as_bytes())?;
        let result = self
            .execute(
                "keeping a received eRx message",
                "INSERT INTO erx_received \
                 (id, message_id, relates_to, prescription_id, patient_id, kind, body, \
                 received_at) \
                 SELECT $1, $2, $3, id, patient_id, $5, $6, $7 FROM prescriptions WHERE id = $4 \
                 ON CONFLICT ON CONSTRAINT erx_received_once DO NOTHING",
                [
                    id.into(),
                    message.message_id.clone().into(),
                    message.relates_to.uuid().into(),
                    message.prescription.uuid().into(),
                    message.kind.into(),
                    body.into(),
                    message.received_at.into(),
                ],
            )
            .await?;
        Ok(result.rows_affected() == 1)
    }

    async fn pharmacy(&mut self, id: PharmacyId) -> Result<Option<Pharmacy>> {
        let sql = format!("SELECT {PHARMACY} FROM pharmacies WHERE id = $1");
        let found: Vec<PharmacyRow> =
            rows(self, "loading a pharmacy", &sql, [id.uuid().into()]).await?;
        found.into_iter().next().map(PharmacyRow::into_domain).transpose()
    }

    async fn pharmacies(&mut self, page: &PageRequest) -> Result<Page<Pharmacy>> {
        pharmacies_by_name(self, "active", page).await
    }

    async fn all_pharmacies(&mut self, page: &PageRequest) -> Result<Page<Pharmacy>> {
        pharmacies_by_name(self, "true", page).await
    }

    async fn default_pharmacy(&mut self, state: Option<UsState>) -> Result<Option<Pharmacy>> {
        let sql = format!(
            "SELECT {PHARMACY} FROM pharmacies WHERE active AND mail_order \
             AND ($1::text IS NULL OR $1 = ANY (licensed_in)) ORDER BY id LIMIT 1"
        );
        let values = [state.map(|state| state.to_string()).into()];
        let found: Vec<PharmacyRow> =
            rows(self, "loading the default pharmacy", &sql, values).await?;
        found.into_iter().next().map(PharmacyRow::into_domain).transpose()
    }

    async fn put_pharmacy(&mut self, pharmacy: &Pharmacy) -> Result<()> {
        let now = self.now();
        let states: Vec<String> = pharmacy.licensed_in.iter().map(ToString::to_string).collect();
        let saved = self
            .execute(
                "putting a pharmacy into the directory",
                "INSERT INTO pharmacies (id, ncpdp_id, npi, name, line1, line2, city, state, \
             postal_code, phone, mail_order, active, updated_at, dea, licensed_in, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
             ON CONFLICT (id) DO UPDATE SET ncpdp_id = excluded.ncpdp_id, npi = excluded.npi, \
             name = excluded.name, line1 = excluded.line1, line2 = excluded.line2, \
             city = excluded.city, state = excluded.state, \
             postal_code = excluded.postal_code, phone = excluded.phone, \
             mail_order = excluded.mail_order, active = excluded.active, \
             updated_at = excluded.updated_at, dea = excluded.dea, \
             licensed_in = excluded.licensed_in, version = excluded.version \
             WHERE pharmacies.version = excluded.version - 1",
                [
                    pharmacy.id.uuid().into(),
                    pharmacy.ncpdp_id.to_string().into(),
                    pharmacy.npi.to_string().into(),
                    pharmacy.name.clone().into(),
                    pharmacy.address.line1.clone().into(),
                    pharmacy.address.line2.clone().into(),
                    pharmacy.address.city.clone().into(),
                    pharmacy.address.state.to_string().into(),
                    pharmacy.address.postal_code.clone().into(),
                    pharmacy.phone.to_string().into(),
                    pharmacy.mail_order.into(),
                    pharmacy.active.into(),
                    now.into(),
                    pharmacy.dea.as_ref().map(ToString::to_string).into(),
                    states.into(),
                    pharmacy.version.into(),
                ],
            )
            .await?;
        expect_changed(saved.rows_affected(), "pharmacies.version")
    }

    async fn pharmacists(&mut self, pharmacy: PharmacyId) -> Result<Vec<AccountId>> {
        #[derive(FromQueryResult)]
        struct Member {
            account_id: Uuid,
        }
        let sql =
            "SELECT account_id FROM pharmacy_staff WHERE pharmacy_id = $1 ORDER BY account_id";
        let found: Vec<Member> =
            rows(self, "reading who works in a pharmacy", sql, [pharmacy.uuid().into()]).await?;
        Ok(found.into_iter().map(|member| AccountId(member.account_id)).collect())
    }

    async fn set_pharmacists(&mut self, pharmacy: PharmacyId, staff: &[AccountId]) -> Result<()> {
        let doing = "saying who works in a pharmacy";
        let gone = "DELETE FROM pharmacy_staff WHERE pharmacy_id = $1";
        self.execute(doing, gone, [pharmacy.uuid().into()]).await?;
        let now = self.now();
        for account in staff {
            self.execute(
                doing,
                "INSERT INTO pharmacy_staff (pharmacy_id, account_id, assigned_at) \
                 VALUES ($1, $2, $3)",
                [pharmacy.uuid().into(), account.uuid().into(), now.into()],
            )
            .await?;
        }
        Ok(())
    }

    async fn works_at(&mut self, pharmacy: PharmacyId) -> Result<bool> {
        match self.actor().as_pharmacist() {
            Some(account) => Ok(self.pharmacists(pharmacy).await?.contains(&account)),
            None => Ok(self.actor().is_system()),
        }
    }
}

/// The pharmacies of which a condition holds, by name.
async fn pharmacies_by_name(tx: &Tx, such: &str, page: &PageRequest) -> Result<Page<Pharmacy>> {
    let after = id_cursor(page)?;
    let sql = format!(
        "SELECT {PHARMACY} FROM pharmacies WHERE {such} AND ($1::uuid IS NULL \
         OR (name, id) > (SELECT last.name, last.id FROM pharmacies last WHERE last.id = $1)) \
         ORDER BY name, id LIMIT $2"
    );
    let values = [after.into(), (i64::from(page.limit()) + 1).into()];
    let found: Vec<PharmacyRow> = rows(tx, "listing pharmacies", &sql, values).await?;
    let found: Vec<Pharmacy> =
        found.into_iter().map(PharmacyRow::into_domain).collect::<Result<_>>()?;
    Ok(Page::from_overfetch(found, page, |last| last.id.to_string()))
}

/// Days of supply are at most a hundred, so the column cannot overflow.
fn small(days: u16) -> i16 {
    i16::try_from(days).unwrap_or(i16::MAX)
}
