use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Data, DeriveInput, Error, Field, Ident, LitStr, Result, Token,
    parse::{Parse, ParseStream},
};

struct Said {
    name: LitStr,
    patient: Option<Ident>,
}

impl Parse for Said {
    fn parse(input: ParseStream) -> Result<Self> {
        let name = input.parse()?;
        let patient = if input.is_empty() {
            None
        } else {
            input.parse::<Token![,]>()?;
            Some(input.parse()?)
        };
        Ok(Self { name, patient })
    }
}

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let attribute = input.attrs.iter().find(|attribute| attribute.path().is_ident("aggregate"));
    let attribute =
        attribute.ok_or_else(|| Error::new_spanned(&input.ident, "no #[aggregate(…)]"))?;
    let Said { name, patient } = attribute.parse_args()?;
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "an aggregate is a struct"));
    };
    let named = |field: &&Field| field.ident.as_ref().is_some_and(|ident| ident == "id");
    let id = data.fields.iter().find(named);
    let id = &id.ok_or_else(|| Error::new_spanned(&input.ident, "it has no field `id`"))?.ty;
    let aggregate = &input.ident;
    let patient = match patient {
        Some(field) => quote!(Some(self.#field)),
        None => quote!(None),
    };
    Ok(quote! {
        impl ::ports::Aggregate for #aggregate {
            type Id = #id;
            const NAME: &'static str = #name;

            fn id(&self) -> #id {
                self.id
            }

            fn version(&self) -> i64 {
                self.version
            }

            fn set_version(&mut self, version: i64) {
                self.version = version;
            }

            fn patient(&self) -> Option<::kernel::PatientId> {
                #patient
            }
        }
    })
}
