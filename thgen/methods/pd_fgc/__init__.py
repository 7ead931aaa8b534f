"""PD-FGC: Progressive Disentangled Representation Learning for Fine-Grained Controllable Talking Head Synthesis
(Wang, Deng, Yin, Shum, Wang; CVPR 2023). Equations: `equations`, top to bottom as in the paper.

    appearance  E_app(photo)                                 2048 and a map        networks.Appearance, FaceAppearance
    motion      E_mot(frame) -> unified feature              512                   networks.Motion, FaceMotion
    lip         E_lip(feature), E_aud(voice)                 500    eq. 2, 3       networks.AudioLip
    eye         E_eye(feature): blink and gaze               6      eq. 4
    pose        E_pose(feature)                              6      eq. 5
    expression  E_exp(feature)                               30     eq. 6, 7, 8
    picture     G([appearance | lip | expression | eye | pose])                    nn.stylegan2.StyleGenerator

Deviations from the paper, with the reason. "Code" means the authors' released code, on which its weights depend.
 1. Appearance is ResNeXt-50 32x4d, not ResNet-50, and G starts from its 512 x 7 x 7 map (code).
 2. G takes the latent directly. Its mapping network and learned constant are not used (code).
 3. The voice's window is 35 ms early (code). Every 40 ms gives one frame; the code loses the first two.
 4. Entries 0, 1, 4, 5 of the eye latent are blink, 2 and 3 are gaze (code; the paper does not split it). Our own
    training learns the split from mirrored eyes (methods.pd_fgc.encoder_stages.EyeStage).
 5. The released weights need gains of 1.5, 1.2 and 1.2 for lip, expression and eye (code). Ours have 1.2 and 1.2 for
    lip and expression, 1.3 and 1.25 for gaze and blink, and 1.1 for lips of a voice. They are fitted on unseen renders,
    so that motion has its size (docs/measured.md).
 6. Noise maps are drawn once per network (the code draws them once per run). Otherwise frames flicker.
 7. Eq. 2, 3, 4: cosines are divided by a temperature of 0.1. With the printed 1 the loss of eq. 2 is at least 0.73.
 8. Eq. 6 is printed for two matrices of one width. Lip has 500 entries and expression 30, so we use all pairs.
 9. Eq. 5: Euler angles in radians, position in half-widths, logarithm of scale, each divided by POSE_SPREAD. The
    paper's 3-D prior has another parametrisation, its normalisation is not published, and the meaning of the six
    released numbers is unknown.
10. The paper does not print the weights of the losses. Those of the configs are ours.
11. Compact preset: E_app and E_mot are small heads on what the shared face encoder says of a photo and of a frame
    (encoder.inputs). That encoder was trained on keypoints and segments of renders alone. The paper's E_app and E_mot
    are networks of pictures of their own, which start from weights for recognition and expressions. A motion head and
    the shared flow generator replace G, so the photo's pixels are kept. Most of the training compares keypoints, each
    group relative to its neighbours, and penalises large coefficients (compact.frozen_generator, compact.task). A
    few steps compare pictures. Frames are augmented by the damage of cameras and codecs and by misplaced tiles,
    not by the paper's warp, because their features are cached.
12. Lips of a clip pass through the voice's embedding, because eq. 2 and 3 align both features. The code does not do so.
13. Rotation and scale of a clip's alignment come from its first frames, not from all, so that memory does not grow.
14. Compact preset: the zero of lip is the mouth of silence; that of eye and expression is the mean over training clips.
15. Compact preset: stage 3 has an additional loss: pose and eyes must not change when rows of the batch exchange their
    other latents (swap_consistency). In reconstruction all latents come from one frame, so a leak has no cost.
"""
