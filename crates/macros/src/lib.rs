//! The derives of the kernel and the ports, so that a word, an error and an aggregate
//! are described once, where they are defined.

mod aggregate;
mod error;
mod mirror;
mod word;

use proc_macro::TokenStream;
use syn::{Attribute, DeriveInput, Expr, ExprLit, Lit, parse_macro_input};

/// An enumeration whose values programs read. Each variant is written in snake case, or
/// as `#[word("…")]` says. Derives `Display`, `FromStr`, the conversion into
/// `&'static str`, `WORDS`, and, in a build with the kernel's features, a column of a row
/// and an enumeration of the API, named like the type or as `#[word("…")]` on it says.
#[proc_macro_derive(Word, attributes(word))]
pub fn word(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    word::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// What a context's error says of itself, beside each variant:
/// `#[domain(Conflict, "catalog.name_taken")]`. `fields` as a third word names a variant
/// that holds the fields at fault; `#[domain(transparent)]` one that holds another error.
#[proc_macro_derive(DomainError, attributes(domain))]
pub fn domain_error(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    error::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// What is stored, locked and versioned as one: a struct with the fields `id` and
/// `version`. `#[aggregate("article")]` is what the audit log calls it;
/// `#[aggregate("consultation", patient)]` names the field that says whose record it is.
#[proc_macro_derive(Aggregate, attributes(aggregate))]
pub fn aggregate(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    aggregate::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// A struct of the API beside one of the domain. `#[mirror(from = Article)]` derives the
/// conversion from the domain, `#[mirror(into = ArticleSpec)]` the one into it. Each field
/// goes by `Into`, and so do the parts of an `Option` or a `Vec`. A field has the domain's
/// name, and an id the name without `_id`: `patient_id: PatientId` is `patient`. A field says
/// itself where another one is meant: `#[mirror(address.city)]`, with a function that converts
/// it `#[mirror(answers, raw_answers)]`, or, from the domain only,
/// `#[mirror(|article| article.is_open())]`.
#[proc_macro_derive(Mirror, attributes(mirror))]
pub fn mirror(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    mirror::derive(&input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// The text of the doc comments.
fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter(|attribute| attribute.path().is_ident("doc"));
    let lines =
        lines.filter_map(|attribute| match &attribute.meta.require_name_value().ok()?.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        });
    lines.collect::<Vec<_>>().join("\n")
}
