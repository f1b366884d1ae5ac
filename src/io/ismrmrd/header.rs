//! What the imaging part needs of the ISMRMRD XML header.
//!
//! Schema: Inati et al., "ISMRM Raw data format", Magn. Reson. Med. 77:411 (2017),
//! <https://ismrmrd.readthedocs.io>.

use super::xml::Element;

/// The first encoding.
#[derive(Debug)]
pub(super) struct Header {
    /// What kind of trajectory it is, in small letters: `cartesian`, `radial`, `spiral`…
    pub trajectory: String,
    /// Encoded matrix (x, y).
    pub encoded: [usize; 2],
    /// Partitions: the encoded matrix along z.
    pub partitions: usize,
    /// The last `kspace_encode_step_2` that the header allows.
    last_partition: usize,
    /// Which `kspace_encode_step_2` is the centre of k-space.
    pub centre_partition: usize,
    /// Reconstructed matrix (x, y).
    pub recon: [usize; 2],
    /// Field of view of the encoded matrix in mm (x, y).
    pub encoded_fov: [f64; 2],
    /// Field of view of the reconstructed matrix in mm (x, y).
    pub recon_fov: [f64; 2],
    /// Which phase-encoding step is the centre of k-space.
    pub centre_line: usize,
    /// Encodings in the file; only the first is read.
    pub encodings: usize,
}

impl Header {
    pub(super) fn parse(xml: &str) -> Result<Header, String> {
        let document = Element::parse(xml).map_err(|e| format!("damaged XML header: {e}"))?;
        let head = document.find("ismrmrdHeader").ok_or("the XML header is no <ismrmrdHeader>")?;
        let encoding = head.find("encoding").ok_or("the XML header has no <encoding>")?;
        let trajectory = encoding.text("trajectory").unwrap_or("").to_ascii_lowercase();
        let encoded = [number(encoding, "encodedSpace/matrixSize/x")?, number(encoding, "encodedSpace/matrixSize/y")?];
        let recon = [number(encoding, "reconSpace/matrixSize/x")?, number(encoding, "reconSpace/matrixSize/y")?];
        let partitions: usize = number(encoding, "encodedSpace/matrixSize/z")?;
        // ISMRMRD counts in 16 bits.
        let extents = encoded.iter().chain(&recon).chain([&partitions]);
        if let Some(bad) = extents.into_iter().find(|&&n| n == 0 || n > 65_535) {
            return Err(format!("matrix size {bad}, expected 1 to 65535"));
        }
        Ok(Header {
            trajectory,
            encoded,
            partitions,
            last_partition: limit(encoding, "kspace_encoding_step_2", "maximum").unwrap_or(0),
            centre_partition: limit(encoding, "kspace_encoding_step_2", "center").unwrap_or(partitions / 2),
            recon,
            encoded_fov: fov(encoding, "encodedSpace"),
            recon_fov: fov(encoding, "reconSpace"),
            centre_line: limit(encoding, "kspace_encoding_step_1", "center").unwrap_or(encoded[1] / 2),
            encodings: head.count("encoding"),
        })
    }

    pub(super) fn is_cartesian(&self) -> bool {
        self.trajectory == "cartesian"
    }

    /// Refuses what [`assemble`](super::assemble) cannot put on a 2-D grid.
    pub(super) fn expect_2d(&self) -> Result<(), String> {
        let partitions = self.partitions.max(self.last_partition.saturating_add(1));
        if partitions > 1 {
            return Err(format!(
                "is a 3-D Cartesian scan ({partitions} partitions); 2-D ones are read: transform along the partitions and \
                 export one of them"
            ));
        }
        Ok(())
    }
}

fn number(encoding: &Element, path: &str) -> Result<usize, String> {
    let text = encoding.text(path).ok_or_else(|| format!("the XML header has no encoding/{path}"))?;
    text.parse().map_err(|_| format!("encoding/{path} is '{text}', expected a whole number"))
}

fn limit(encoding: &Element, step: &str, which: &str) -> Option<usize> {
    let text = encoding.text(&format!("encodingLimits/{step}/{which}"))?;
    text.parse().ok()
}

/// Field of view (x, y) in mm; 0 where the header leaves it out.
fn fov(encoding: &Element, space: &str) -> [f64; 2] {
    ["x", "y"].map(|axis| {
        encoding.text(&format!("{space}/fieldOfView_mm/{axis}")).and_then(|text| text.parse().ok()).unwrap_or(0.0)
    })
}

/// A header for tests.
#[cfg(test)]
pub(super) fn sample(encoded: [usize; 3], recon: [usize; 3], centre: usize) -> String {
    let space = |name: &str, n: [usize; 3]| {
        let fov = n.map(|n| 2.0 * n as f64);
        format!(
            "<{name}><matrixSize><x>{}</x><y>{}</y><z>{}</z></matrixSize><fieldOfView_mm>\
             <x>{}</x><y>{}</y><z>{}</z></fieldOfView_mm></{name}>",
            n[0], n[1], n[2], fov[0], fov[1], fov[2]
        )
    };
    format!(
        "<?xml version=\"1.0\"?><ismrmrdHeader xmlns=\"http://www.ismrm.org/ISMRMRD\"><encoding>{}{}\
         <encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{}</maximum>\
         <center>{centre}</center></kspace_encoding_step_1></encodingLimits>\
         <trajectory>cartesian</trajectory></encoding></ismrmrdHeader>",
        space("encodedSpace", encoded),
        space("reconSpace", recon),
        encoded[1] - 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_matrix_and_the_centre() {
        let header = Header::parse(&sample([64, 20, 1], [32, 20, 1], 7)).unwrap();
        assert_eq!((header.encoded, header.recon), ([64, 20], [32, 20]));
        assert_eq!((header.centre_line, header.centre_partition, header.encodings), (7, 0, 1));
        assert!(header.is_cartesian() && header.expect_2d().is_ok());
        assert_eq!(header.encoded_fov, [128.0, 40.0]);
    }

    #[test]
    fn says_what_is_not_read() {
        let good = sample([8, 8, 1], [8, 8, 1], 4);
        let error = |xml: &str| Header::parse(xml).unwrap_err();
        let solid = Header::parse(&sample([8, 8, 4], [8, 8, 4], 4)).unwrap();
        assert!(solid.expect_2d().unwrap_err().contains("4 partitions"));
        assert!(!Header::parse(&good.replace("cartesian", "Spiral")).unwrap().is_cartesian());
        assert!(error(&good.replace("<x>8</x>", "<x>ten</x>")).contains("'ten'"));
        assert!(error(&good.replace("<x>8</x>", "<x>0</x>")).contains("matrix size 0"));
        assert!(error("<a/>").contains("ismrmrdHeader"));
        assert!(error("").contains("ismrmrdHeader"));
    }
}
