use std::sync::Arc;

use async_trait::async_trait;
use billing::{InvoiceDocument, InvoiceRenderer, Party};
use chrono::{DateTime, Datelike as _, NaiveDate, Utc};
use kernel::Address;
use ports::{PortError, Result};
use serde_json::{Value, json};
use typst::{
    foundations::{Dict, IntoValue as _, Smart},
    layout::{Frame, FrameItem},
};
use typst_as_lib::{TypstEngine, TypstTemplateMainFile, typst_kit_options::TypstKitFontOptions};
use typst_layout::PagedDocument;
use typst_pdf::PdfOptions;

const TEMPLATE: &str = include_str!("../templates/invoice.typ");

/// Sets invoices as PDF.
#[derive(Clone)]
pub struct TypstInvoices {
    engine: Arc<TypstEngine<TypstTemplateMainFile>>,
}

impl Default for TypstInvoices {
    fn default() -> Self {
        let fonts =
            TypstKitFontOptions::new().include_system_fonts(false).include_embedded_fonts(true);
        let engine = TypstEngine::builder().main_file(TEMPLATE).search_fonts_with(fonts).build();
        Self { engine: Arc::new(engine) }
    }
}

impl TypstInvoices {
    fn pages(&self, document: &InvoiceDocument) -> Result<PagedDocument> {
        let mut data = data(document);
        let pages = self.set(&data)?;
        if pages.pages().iter().all(|page| is_legible(&page.frame)) {
            return Ok(pages);
        }
        // A box in the place of a letter is not left without a word.
        data["illegible"] = json!(ILLEGIBLE);
        self.set(&data)
    }

    fn set(&self, data: &Value) -> Result<PagedDocument> {
        let mut inputs = Dict::new();
        inputs.insert("invoice".into(), data.to_string().into_value());
        self.engine
            .compile_with_input(inputs)
            .output
            .map_err(|error| PortError::internal("an invoice could not be set", error.to_string()))
    }

    fn pdf(&self, document: &InvoiceDocument) -> Result<Vec<u8>> {
        let pages = self.pages(document)?;
        let options = PdfOptions {
            ident: Smart::Custom(format!("salus.invoice.{}", document.number)),
            creator: Smart::Custom(Some("Salus".to_owned())),
            ..PdfOptions::default()
        };
        typst_pdf::pdf(&pages, &options).map_err(|errors| {
            let messages: Vec<_> = errors.iter().map(|error| error.message.to_string()).collect();
            PortError::internal("an invoice could not be written as PDF", messages.join("; "))
        })
    }
}

#[async_trait]
impl InvoiceRenderer for TypstInvoices {
    async fn render(&self, document: &InvoiceDocument) -> Result<Vec<u8>> {
        let (this, document) = (self.clone(), document.clone());
        // Setting a page takes milliseconds of computing, which would hold up
        // whatever else runs on this thread.
        tokio::task::spawn_blocking(move || this.pdf(&document))
            .await
            .map_err(|error| PortError::internal("setting an invoice was cut off", error))?
    }
}

/// What the template reads. Amounts and dates are written here, so that the
/// template only places them.
fn data(document: &InvoiceDocument) -> Value {
    let zone = document.period.zone;
    let local = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive();
    let issued = local(document.finalized_at);
    let (status, note) = match document.paid_at {
        Some(at) => ("paid", format!("Paid in full on {}. Thank you.", long(local(at)))),
        None if document.withdrawn => {
            ("withdrawn", "This invoice was withdrawn and is not to be paid.".to_owned())
        }
        None => ("open", "This amount is charged to your default payment method.".to_owned()),
    };
    let due = if status == "open" {
        document.total
    } else {
        kernel::Money::zero(document.total.currency)
    };
    let mut facts = vec![
        ["Invoice number".to_owned(), document.number.clone()],
        ["Date of issue".to_owned(), long(issued)],
        [
            "Period".to_owned(),
            format!("{} – {}", long(document.period.first_day()), long(document.period.last_day())),
        ],
    ];
    if let Some(at) = document.paid_at {
        facts.push(["Date of payment".to_owned(), long(local(at))]);
    }
    json!({
        "number": document.number,
        "date": { "year": issued.year(), "month": issued.month(), "day": issued.day() },
        "status": status,
        "note": note,
        "seller": party(&document.parties.seller),
        "bill_to": party(&document.parties.bill_to),
        "facts": facts,
        "lines": document.lines.iter().map(|line| json!({
            "description": line.description,
            "quantity": line.quantity.to_string(),
            "unit_price": line.unit_price.to_string(),
            "amount": line.amount.to_string(),
        })).collect::<Vec<_>>(),
        "total": document.total.to_string(),
        "due": due.to_string(),
        "illegible": null,
    })
}

/// What an invoice says where its fonts, which are those of the binary, lack a
/// character.
const ILLEGIBLE: &str = "This document's typefaces lack some characters, which are printed as \
    boxes. Selecting and copying the text gives them as they are on file.";

/// Whether the fonts have a glyph for every character; the first glyph of a font
/// is the box for those that it lacks.
fn is_legible(frame: &Frame) -> bool {
    frame.items().all(|(_, item)| match item {
        FrameItem::Group(group) => is_legible(&group.frame),
        FrameItem::Text(item) => item.glyphs.iter().all(|glyph| glyph.id != 0),
        _ => true,
    })
}

fn long(date: NaiveDate) -> String {
    date.format("%B %-d, %Y").to_string()
}

fn party(party: &Party) -> Value {
    let mut lines = Vec::new();
    if let Some(Address { line1, line2, city, state, postal_code }) = &party.address {
        lines.push(line1.clone());
        lines.extend(line2.clone());
        lines.push(format!("{city}, {state} {postal_code}"));
    }
    lines.extend(party.email.clone());
    lines.extend(party.tax_id.as_ref().map(|id| format!("Tax ID {id}")));
    json!({ "name": party.name, "lines": lines })
}

#[cfg(test)]
mod tests {
    use billing::{InvoiceLine, Parties, Period};
    use chrono_tz::Tz;
    use kernel::{Money, UsState};

    use super::*;

    fn document() -> InvoiceDocument {
        let address = |line1: &str| Address {
            line1: line1.to_owned(),
            line2: Some("Suite 5".to_owned()),
            city: "Boston".to_owned(),
            state: UsState::Ma,
            postal_code: "02139".to_owned(),
        };
        let party = |name: &str| Party {
            name: name.to_owned(),
            address: Some(address("1 Example Plaza")),
            email: Some("billing@example.org".to_owned()),
            tax_id: None,
        };
        InvoiceDocument {
            number: "SAL-00000042".to_owned(),
            parties: Parties { seller: party("Salus Telehealth"), bill_to: party("Ada Lovelace") },
            period: Period {
                start: "2026-01-31T05:00:00Z".parse().unwrap(),
                end: "2026-02-28T05:00:00Z".parse().unwrap(),
                zone: Tz::America__New_York,
            },
            lines: vec![InvoiceLine::new("Hair loss, monthly", 1, Money::usd(4900)).unwrap()],
            total: Money::usd(4900),
            finalized_at: "2026-02-01T03:00:00Z".parse().unwrap(),
            paid_at: None,
            withdrawn: false,
        }
    }

    fn collect(frame: &Frame, text: &mut String) {
        for (_, item) in frame.items() {
            match item {
                FrameItem::Group(group) => collect(&group.frame, text),
                FrameItem::Text(item) => {
                    text.push_str(&item.text);
                    text.push(' ');
                }
                _ => {}
            }
        }
    }

    /// The words as they stand on the pages, without the spaces between them.
    fn words(document: &InvoiceDocument) -> String {
        let pages = TypstInvoices::default().pages(document).unwrap();
        let mut text = String::new();
        for page in pages.pages() {
            collect(&page.frame, &mut text);
        }
        text.retain(|c| !c.is_whitespace());
        text
    }

    #[test]
    fn an_invoice_says_who_what_when_and_how_much() {
        let text = words(&document());
        for expected in [
            "SAL-00000042",
            "SalusTelehealth",
            "AdaLovelace",
            "Boston,MA02139",
            "January31,2026–February27,2026",
            "Hairloss,monthly",
            "49.00USD",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert!(!text.contains("PAID") && !text.contains("VOID"), "{text}");
    }

    #[test]
    fn a_paid_invoice_is_stamped_and_nothing_is_due() {
        let paid = InvoiceDocument {
            paid_at: Some("2026-02-02T12:00:00Z".parse().unwrap()),
            ..document()
        };
        let text = words(&paid);
        assert!(text.contains("PAID") && text.contains("0.00USD"), "{text}");
        assert!(text.contains("PaidinfullonFebruary2,2026"), "{text}");
        let void = InvoiceDocument { withdrawn: true, ..document() };
        assert!(words(&void).contains("VOID"));
    }

    #[test]
    fn hostile_names_are_set_as_text() {
        let hostile = [
            "#eval(\"1+1\")",
            "$x^2$",
            "*bold*_it_",
            "#panic()",
            "`raw`<label>@ref",
            "]#sys.inputs[",
            "\\u{41}//nocomment/*x*/",
            "=Heading",
            "\"quoted\\",
        ];
        for name in hostile {
            let mut document = document();
            document.parties.bill_to.name = name.to_owned();
            document.lines[0].description = name.to_owned();
            let text = words(&document);
            assert_eq!(text.matches(name).count(), 2, "{name} in {text}");
        }
    }

    #[test]
    fn what_the_fonts_lack_is_kept_as_text_and_said() {
        let said = |text: &str| text.contains("lacksomecharacters");
        let mut document = document();
        document.parties.bill_to.name = "Zoë Ñandú Иванова Ελένη".to_owned();
        assert!(!said(&words(&document)));
        for name in ["李小龙", "محمد", "Ada 🏥"] {
            document.parties.bill_to.name = name.to_owned();
            let text = words(&document);
            let compact: String = name.split_whitespace().collect();
            assert!(text.contains(&compact), "{name} in {text}");
            assert!(said(&text) || name == "محمد", "{name} is printed as boxes in {text}");
        }
    }

    #[tokio::test]
    async fn the_same_invoice_gives_the_same_bytes() {
        let first = TypstInvoices::default().render(&document()).await.unwrap();
        let second = TypstInvoices::default().render(&document()).await.unwrap();
        assert!(first.starts_with(b"%PDF-"));
        assert_eq!(first, second);
        let another = InvoiceDocument { number: "SAL-00000043".to_owned(), ..document() };
        assert_ne!(first, TypstInvoices::default().render(&another).await.unwrap());
    }

    #[tokio::test]
    async fn many_lines_go_over_several_pages() {
        let mut document = document();
        let line = document.lines[0].clone();
        document.lines = vec![line; 120];
        let pages = TypstInvoices::default().pages(&document).unwrap();
        assert!(pages.pages().len() > 1);
    }
}
