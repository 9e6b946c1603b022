//! Files that are cut short or changed anywhere: an error or a picture, never a panic, and never more memory than the
//! limits allow.

use proptest::prelude::*;
use spinelift::decode::Limits;
use spinelift::decode::psd::{self, LayerLimits};
use spinelift::mesh::Error;

use super::{file, memory, names, read};

#[test]
fn a_file_that_is_cut_short_is_an_error() {
    for name in names() {
        let whole = file(&name);
        // What pytoshop writes last, the merged picture, is deflated and does not say how long it is.
        let end = if name.starts_with("pytoshop") { whole.len() - 60 } else { whole.len() };
        for length in (0..end).filter(|length| length % 7 == 0 || *length > whole.len() - 40) {
            match read(&whole[..length]) {
                Err(Error::ImageLoad { format: "PSD", .. }) => {}
                Err(Error::ImageFormat { .. }) if length < 4 => {}
                other => panic!("{name}, {length} bytes: {:?}", other.map(|document| document.layers.len())),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_changed_file_is_read_or_refused(
        which in 0_usize..15,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        at_the_front: bool,
    ) {
        let mut bytes = file(&names()[which]);
        let length = if at_the_front { bytes.len().min(900) } else { bytes.len() };
        for (place, value) in changes {
            bytes[place.index(length)] = value;
        }
        let limits = Limits { max_width: 512, max_height: 512, max_bytes: 1 << 20 };
        let layer_limits = LayerLimits { max_layers: 20, max_pixels: 1 << 20 };
        let beginning = memory::begin();
        let read = psd::layers(&bytes, &limits, &layer_limits, &());
        // The other tests take a little beside it.
        prop_assert!(memory::most_since(beginning) < 48 << 20, "{} bytes", memory::most_since(beginning));
        if let Ok(document) = read {
            prop_assert!(document.layers.len() <= 20);
            let pixels: u64 = document.layers.iter().map(|layer| layer.picture.pixels().len() as u64 / 4).sum();
            prop_assert!(pixels <= 1 << 20);
        }
    }
}
