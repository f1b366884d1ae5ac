//! What the imaging part needs of the ISMRMRD XML header.
//!
//! Schema: Inati et al., "ISMRM Raw data format", Magn. Reson. Med. 77:411 (2017),
//! <https://ismrmrd.readthedocs.io>.

use super::xml::Element;

/// Where the reference lines of parallel imaging stand (`calibrationMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calibration {
    /// Between the lines of the image, and part of it.
    Embedded,
    /// The lines of the image themselves: which ones are acquired goes round from repetition to repetition.
    Interleaved,
    /// Acquired on their own.
    Separate,
    /// The header does not say.
    Unknown,
}

/// One encoding.
#[derive(Debug)]
pub(super) struct Header {
    /// What kind of trajectory it is, in small letters: `cartesian`, `radial`, `spiral`…
    pub trajectory: String,
    /// Encoded matrix (x, y, z).
    pub encoded: [usize; 3],
    /// Reconstructed matrix (x, y, z).
    pub recon: [usize; 3],
    /// Field of view of the encoded matrix in mm (x, y, z); 0 where the header leaves it out.
    pub encoded_fov: [f64; 3],
    /// Field of view of the reconstructed matrix in mm (x, y, z); 0 where the header leaves it out.
    pub recon_fov: [f64; 3],
    /// Which phase-encoding step and which partition are the centre of k-space, where the header says.
    pub centre: [Option<usize>; 2],
    /// How the reference lines are acquired, and the header's word for it.
    pub calibration: Calibration,
    pub calibration_word: String,
    /// Acceleration along the phase-encoding steps and the partitions.
    pub acceleration: [usize; 2],
    /// The part of the receiver's bandwidth that lets noise through (`relativeReceiverNoiseBandwidth`).
    pub noise_bandwidth: Option<f64>,
    /// Whether the header describes samples on the ramps of an EPI readout.
    pub on_ramps: bool,
    /// Encodings in the file.
    pub encodings: usize,
}

impl Header {
    /// The encoding of this number.
    pub(super) fn parse(xml: &str, number_of: usize) -> Result<Header, String> {
        let document = Element::parse(xml).map_err(|e| format!("damaged XML header: {e}"))?;
        let head = document.find("ismrmrdHeader").ok_or("the XML header is no <ismrmrdHeader>")?;
        let encodings = head.count("encoding");
        let encoding = head.nth("encoding", number_of).ok_or_else(|| match encodings {
            0 => "the XML header has no <encoding>".to_string(),
            n => format!("no encoding {number_of}; the header has {n}, numbered from 0"),
        })?;
        let trajectory = encoding.text("trajectory").unwrap_or("").to_ascii_lowercase();
        let encoded = matrix(encoding, "encodedSpace")?;
        let recon = matrix(encoding, "reconSpace")?;
        let parallel = |what: &str| encoding.text(&format!("parallelImaging/{what}"));
        let word = parallel("calibrationMode").unwrap_or("").to_ascii_lowercase();
        let faster = |step: &str| parallel(&format!("accelerationFactor/{step}")).and_then(|t| t.parse().ok());
        let bandwidth = head.text("acquisitionSystemInformation/relativeReceiverNoiseBandwidth");
        Ok(Header {
            on_ramps: trajectory == "epi" && on_ramps(encoding),
            trajectory,
            encoded,
            recon,
            encoded_fov: fov(encoding, "encodedSpace"),
            recon_fov: fov(encoding, "reconSpace"),
            centre: STEPS.map(|step| limit(encoding, step, "center")),
            calibration: match word.as_str() {
                "embedded" => Calibration::Embedded,
                "interleaved" => Calibration::Interleaved,
                "separate" | "external" => Calibration::Separate,
                _ => Calibration::Unknown,
            },
            calibration_word: word,
            acceleration: STEPS.map(|step| faster(step).unwrap_or(1)),
            noise_bandwidth: bandwidth.and_then(|t| t.parse().ok()).filter(|b: &f64| *b > 0.0 && b.is_finite()),
            encodings,
        })
    }

    pub(super) fn is_cartesian(&self) -> bool {
        self.trajectory == "cartesian"
    }

    /// Whether lines without coordinates lie on a grid.
    pub(super) fn may_be_a_grid(&self) -> bool {
        self.is_cartesian() || self.trajectory == "epi"
    }

    /// Whether partitions are encoded.
    pub(super) fn is_3d(&self) -> bool {
        self.encoded[2] > 1
    }
}

/// The steps that are counted.
const STEPS: [&str; 2] = ["kspace_encoding_step_1", "kspace_encoding_step_2"];

/// A matrix (x, y, z); z is 1 where the reconstructed one leaves it out.
fn matrix(encoding: &Element, space: &str) -> Result<[usize; 3], String> {
    let of = |axis: &str| number(encoding, &format!("{space}/matrixSize/{axis}"));
    let z = match encoding.text(&format!("{space}/matrixSize/z")) {
        None if space == "reconSpace" => 1,
        _ => of("z")?,
    };
    let matrix = [of("x")?, of("y")?, z];
    // ISMRMRD counts in 16 bits.
    match matrix.iter().find(|n| **n == 0 || **n > 65_535) {
        Some(bad) => Err(format!("matrix size {bad}, expected 1 to 65535")),
        None => Ok(matrix),
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

/// Field of view (x, y, z) in mm; 0 where the header leaves it out.
fn fov(encoding: &Element, space: &str) -> [f64; 3] {
    ["x", "y", "z"].map(|axis| {
        let text = encoding.text(&format!("{space}/fieldOfView_mm/{axis}"));
        text.and_then(|text| text.parse().ok()).filter(|mm: &f64| mm.is_finite() && *mm > 0.0).unwrap_or(0.0)
    })
}

/// Whether the readout of an EPI begins before its gradient has risen: `rampUpTime` and `acqDelayTime` of the trajectory's
/// description, in µs.
fn on_ramps(encoding: &Element) -> bool {
    let Some(description) = encoding.find("trajectoryDescription") else { return false };
    let of = |name: &str| {
        let found = description.children().find(|c| c.text("name") == Some(name));
        found.and_then(|c| c.text("value")).and_then(|v| v.parse::<f64>().ok()).unwrap_or(0.0)
    };
    of("rampUpTime") > of("acqDelayTime") && of("rampUpTime") > 0.0
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
        let header = Header::parse(&sample([64, 20, 1], [32, 20, 1], 7), 0).unwrap();
        assert_eq!((header.encoded, header.recon), ([64, 20, 1], [32, 20, 1]));
        assert_eq!((header.centre, header.encodings), ([Some(7), None], 1));
        assert!(header.is_cartesian() && !header.is_3d());
        assert_eq!((header.encoded_fov, header.noise_bandwidth), ([128.0, 40.0, 2.0], None));
        assert_eq!((header.calibration, header.acceleration), (Calibration::Unknown, [1, 1]));
    }

    #[test]
    fn says_what_is_not_read() {
        let good = sample([8, 8, 1], [8, 8, 1], 4);
        let error = |xml: &str| Header::parse(xml, 0).unwrap_err();
        assert!(Header::parse(&sample([8, 8, 4], [8, 8, 4], 4), 0).unwrap().is_3d());
        assert!(!Header::parse(&good.replace("cartesian", "Spiral"), 0).unwrap().is_cartesian());
        assert!(Header::parse(&good, 1).unwrap_err().contains("no encoding 1; the header has 1"));
        assert!(error(&good.replace("<x>8</x>", "<x>ten</x>")).contains("'ten'"));
        assert!(error(&good.replace("<x>8</x>", "<x>0</x>")).contains("matrix size 0"));
        assert!(error("<a/>").contains("ismrmrdHeader"));
        assert!(error("").contains("ismrmrdHeader"));
    }
}
