"""PD-FGC: Progressive Disentangled Representation Learning for Fine-Grained Controllable Talking Head Synthesis
(Wang, Deng, Yin, Shum, Wang; CVPR 2023). Equations: `equations`, top to bottom as in the paper.

    appearance  E_app(photo)                                 2048 and a map        networks.Appearance
    motion      E_mot(frame) -> unified feature              512                   networks.Motion
    lip         E_lip(feature), E_aud(voice)                 500    eq. 2, 3       networks.AudioLip
    eye         E_eye(feature): blink and gaze               6      eq. 4
    pose        E_pose(feature)                              6      eq. 5
    expression  E_exp(feature)                               30     eq. 6, 7, 8
    picture     G([appearance | lip | expression | eye | pose])                    nn.stylegan2.StyleGenerator

Deviations from the paper, with the reason. "Code" is what the authors released; its weights depend on it.
 1. Appearance is ResNeXt-50 32x4d, not ResNet-50, and G starts from its 512 x 7 x 7 map (code).
 2. G takes the latent directly; its mapping network and learned constant are never called (code).
 3. The voice's window lies 35 ms early (code); a frame is made for every 40 ms, where the code loses the first two.
 4. Of the eye's six numbers 0, 1, 4, 5 are blink and 2, 3 gaze (code; the paper never splits them). In our own training
    the split is learned from mirrored eyes: see methods.pd_fgc.stages.Eye.
 5. Gains 1.5, 1.2, 1.2 of lip, expression and eye belong to the released weights (code); ours have 1, 1, 1.2, and 1.8
    for lips of a voice: what it explains in part is drawn too small. By unseen renders (docs/measured.md).
 6. Noise maps are drawn once and kept (code keeps them for a run; without it frames flicker).
 7. Eq. 2, 3, 4: cosines are divided by a temperature, 0.1; at the printed 1 the loss of eq. 2 cannot fall below 0.73.
 8. Eq. 6 is printed for two matrices of one width; lip has 500 entries and expression 30, so all pairs count.
 9. Eq. 5: Euler angles in radians, place in half-widths, logarithm of scale, each divided by POSE_SPREAD: the paper's
    3-D prior has another parametrisation, and no normalisation is published. The six released numbers are opaque.
10. Weights of the losses are not printed: those of the configs are ours.
11. Compact preset: small backbones at 128 px, of which E_mot sees eyes, mouth and brows enlarged beside the face
    (compact.mosaic); a motion head and the shared flow generator stand in G's place, so the photo's pixels are kept.
    Most training compares keypoints, each group beside its neighbours, and wants the least coefficients that explain
    them (compact.frozen_generator, plain); pictures come in at the end.
12. Lips of a clip pass through the voice's embedding: eq. 2 and 3 make both features one, the code never uses it so.
13. Rotation and scale of a clip's alignment come from its first frames, not from all: memory must not grow.
14. Compact preset: the zero of lip is the mouth of silence, that of eye and expression their mean over training clips.
15. Compact preset: in stage 3 pose and eyes must also stay when rows exchange their other latents
    (methods.pd_fgc.stages.Expression.steady): in reconstruction all latents are one frame's, so leaks cost nothing.
"""
