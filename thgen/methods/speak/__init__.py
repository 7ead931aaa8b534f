"""SPEAK: Listen, Disentangle, and Control: Controllable Speech-Driven Talking Head Generation (Cai, Guo, Li, Su, He,
Xiao, Chen, Dai, Zhu; 2024). Equations: `equations`, top to bottom as in the paper. No code was released.

    IRFD       E_i, E_e, E_p(picture) -> f_I, f_E, f_P   512 each   section 3.1     networks.Encoder, on nn.resnext
               one of them is exchanged, then G_d        256 px     figure 2        networks.Reconstructor
               losses                                               eq. 1-8         stages.Irfd
    voice      E_a(voice) -> f_a                         512        section 3.2.1   networks.Voice, on nn.wav2vec
    editing    f_a, f_E; noise; AdaIN of f_R -> F        14 x 512   section 3.2.2   networks.EditingModule
    picture    G_g(mlp(f_I, f_P), F)                     256 px     eq. 9           networks.TalkingGenerator
    losses     D, SyncNet, VGG19                                    eq. 10-13       head_stages, nn.discriminators,
                                                                                    nn.wav2lip, training.priors

f_R is f_I, f_P and f_E together. Emotions by name, strength and mix: `emotions`.

Numbers of the paper, and where they stand: 256 px, ResNet-50, learning rate 1e-4, weights of 1 (`paper.yaml`); 30
frames per second (`networks.RATE`, `declaration.CLIP_FPS`); 16 kHz (`schema`); eight emotions of MEAD
(`schema.EMOTIONS`).

Deviations from the paper, with the reason. "Parent" means the released code of a work that the paper builds on.
 1. Training data are rendered people, with names of emotions as MEAD has them. VoxCeleb, MEAD, CREMA-D and HDTF may not
    be redistributed. So tables 1 to 4 cannot be reproduced number by number. Frames are in the framing of thgen's crop,
    not in that of the first-order motion model; both show the whole head without alignment.
 2. Codes have 512 numbers each; the paper gives no size. Encoders start from random weights.
 3. G_d: the text concatenates the codes, eq. 5 adds them, and below eq. 9 they go through an mlp. We concatenate and
    use an mlp of 2 layers. `model.irfd.fusion: add` is eq. 5; then no picture can depend on which code is the pose. G_d
    has no input F: there is no editing module in stage 1. It starts from a learned constant, so that it sees codes
    alone.
 4. Eq. 1 subtracts the distances of two right identities, so it is no triplet loss, as the text has it. Ours is: anchor
    E_i(S), positive E_i(I_d(i, n, q)), negative E_i(I_d(j, m, p)), and the same for T, on codes of length 1, with alpha
    of 0.2 (not in the paper). Pairs of one person have no negative. `data.as_printed` is eq. 1, 3, 4, 5 and 6 as
    printed.
 5. Eq. 3 and 4: own codes get no gradient, and directions are compared. As printed, codes that shrink to 0 are free.
 6. Eq. 5 and 6 compare what G_d makes with I_d(i, m, p), which G_d makes from the same codes: 0 at all times. The text
    says "generated and original frames", so the target is the picture. The norm is divided by the root of the number of
    entries, otherwise its weight would depend on the picture's size.
 7. The equations write an exchange of the identity. Emotion and pose are exchanged as often, each row draws its own
    factor, and each factor is read from the picture that has it. A quarter of the pairs are two frames of one clip
    ("with different or the same identity").
 8. Eq. 2: names belong to clips. A rendered clip whose emotion changes says which emotions, not when; frames that may
    lie in a change have no label (`synth.motion.emotion_at`), and eq. 2 leaves them out. C_m is one linear layer.
 9. E_a: wav2vec 2.0 base of FaceFormer (parent; its weights come from the Hub, see `pretrained`), whose convolutions
    are frozen and whose features are resampled to the video's rate before the transformer. A linear layer and three
    residual convolutions over time (kernel 3, dilations 1, 2, 4) give the "global audio vectors". No masks, no dropped
    layers.
10. 30 frames per second: driving clips are read with 30, and E_a gives 30 vectors per second. All videos of thgen have
    25, so tracks are interpolated, those of the rendered clips in training, too.
11. Editing module: a fully connected block for each style index of G_g, 512 wide, leaky ReLU 0.2; the output of a block
    is the latent of its index. "Channel-wise" AdaIN of a vector normalises it over its entries. In training noise is
    drawn anew, for a video it is fixed, otherwise the face trembles; its strength is learned and starts at 0.
12. G_g: the mlp of eq. 9 has weights of its own at each style index and is added to F there. The picture starts from a
    projection of the last map of E_i of the photo, because a constant loses details of the person
    (`model.generator.begin: constant`). Noise maps are fixed.
13. "Three encoders are used in the global generator training": they are frozen for the first half (stage 2a) and learn
    in the second half (2b), which starts with new moments of Adam.
14. Pose and emotion are read from the frame that is to be made (section 3.3), so E_e may see the mouth, and a voice
    over another clip may move it less. The paper says that emotion contains "a portion of the mouth movement"; we leave
    it so. The photo is any frame of the clip; the paper wants a neutral one, and VoxCeleb names none.
15. Eq. 10 is printed as a minimum over G of log(1 - D). G minimises -log D, which has the same fixed point and a
    gradient from the start. D: layers and sizes of SPADE, two scales, the photo beside the picture as three more
    channels.
16. The "modified version of SyncNet" has no code: ours has the geometry of Wav2Lip's expert in colours, is trained with
    eq. 11 on as many true as false pairs of one clip (stage "sync"), and sees the lower half of the face's square.
17. Eq. 12 compares two videos, the text a voice and a video. We follow the text; `data.sync: video` is as printed. The
    margin is 1, on embeddings of length 1 (not in the paper). For pictures of G_g all pairs are true ones.
18. L_vgg: VGG19, relu1_1 to relu5_1, means of absolute differences. Its citation in the paper is scrambled. Batch sizes
    and numbers of steps are ours: the paper gives hours. Weights are averaged.
19. Pictures lie in [-1, 1]; G_d and G_g have no last tanh, and pictures are clamped.
20. A factor without a driver has the photo's own code, the lips that of silence. The paper always has all four inputs.
21. Emotions by name are not in the paper: the mean code of frames with that name, computed at the export. Strength goes
    from the photo's own code (0) to the mean (1). With an emotion clip the same change is added to the clip's codes.
"""
