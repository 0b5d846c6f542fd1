//! Physical memory over NetTLP: tags, window, matching, retry, pacing; links over UDP.
